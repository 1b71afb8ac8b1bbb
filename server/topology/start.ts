// Serves the topology to nodes: takes their reports, and tells them whom to dial and which parents to have.
//   live.ts, links.ts, topology.ts   what is known: nodes, routes, links, in memory
//   resolve.ts, cost.ts, routes.ts, chains.ts   how a machine is reached
//   watch.ts, reports.ts             the service that nodes report to
//   parents.ts, reparent.ts        give nodes other parents
//   reconcile.ts                     the loop
import type { IdentityStore } from '../../certs/identity.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Mesh } from '../../mesh/types.ts';
import { SERVER } from '../store/nodes/parents.ts';
import type { Actor } from '../store/base.ts';
import type { Node } from '../store/nodes/nodes.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import { markApplied, parentsAssignments } from './reparent.ts';
import type { LiveTopology } from './live.ts';
import { setParents, type NewParentInput } from './desired-parents.ts';
import { ReconcileLoop } from './reconcile.ts';
import { peerDenial } from './reports.ts';
import { dialsOf, WatchService, type AwaitedNode, type FindSources } from './watch.ts';

/** Nodes that have a token and wait to be dialled. */
export interface AwaitedJoins<Join extends AwaitedNode = AwaitedNode> {
  pending(): Promise<readonly Join[]>;
  /** Called once their parents were told to dial them. */
  attempt(pending: readonly Join[]): void;
}

export interface TopologyDeps<Join extends AwaitedNode> {
  readonly store: Store;
  readonly topology: LiveTopology;
  readonly identity: IdentityStore;
  readonly mesh: Mesh;
  readonly log: Logger;
  readonly joins: AwaitedJoins<Join>;
  /** Answers Places.Find. */
  readonly findSources: FindSources;
  /** How this server's port is reached from outside, as host:port, when it is known. */
  readonly serverAddress: string | undefined;
}

export interface TopologyServices {
  /** Keeps the desired parents that a node, at the version that was read, go over to other parents. */
  setParents(tx: StoreTransaction, id: string, change: NewParents, actor: Actor): Promise<Node>;
  stop(): Promise<void>;
}

export interface NewParents {
  readonly version: number;
  readonly parents: readonly NewParentInput[];
}

/** Registers the `topology` service on the mesh and starts the reconcile loop. */
export async function startTopology<Join extends AwaitedNode>(deps: TopologyDeps<Join>): Promise<TopologyServices> {
  const { store, topology, mesh, log, joins, findSources, serverAddress } = deps;
  const self = deps.identity.current().node;
  const watch = new WatchService({ store, log, findSources, denials: mesh.denials });
  const loop = new ReconcileLoop(async () => {
    await markApplied({ store, log }, topology);
    const pending = await joins.pending();
    const dials = dialsOf(topology, pending);
    mesh.assignDials(dials.get(SERVER) ?? []);
    watch.assign({ dials, parents: parentsAssignments(topology, self) });
    joins.attempt(pending);
  }, log);
  const recording = recordDenials(deps);
  mesh.listen('topology', (stream) => watch.accept(stream));
  const unsubscribe = topology.onChange(({ structural }) => {
    if (structural) loop.soon();
  });
  await loop.start();
  return {
    setParents: (tx, id, change, actor) => setParents(tx, id, { ...change, topology, serverAddress }, actor),
    async stop() {
      unsubscribe();
      loop.stop();
      await watch.stop();
      await recording.stop();
    },
  };
}

/** What this server's own mesh refuses; other nodes report theirs. */
function recordDenials({
  store,
  identity,
  mesh,
  log,
}: Pick<TopologyDeps<AwaitedNode>, 'store' | 'identity' | 'mesh' | 'log'>): { stop(): Promise<void> } {
  const { node } = identity.current();
  const writing = new Set<Promise<unknown>>();
  const forget = mesh.denials.onNoted((denial) => {
    const written = store.denials
      .record(denial.by, peerDenial(node, denial))
      .catch((err: unknown) => log.warn({ err }, 'a denial was not recorded'))
      .finally(() => writing.delete(written));
    writing.add(written);
  });
  return {
    async stop() {
      forget();
      await Promise.all(writing);
    },
  };
}

// Starts the topology service: takes nodes' reports, and assigns whom they dial and their desired parents.
//   live.ts, links.ts, topology.ts              nodes, routes and links in memory
//   route-resolver.ts, cost.ts, routes.ts, chains.ts   how a machine is reached
//   watch.ts, reports/                          the service that nodes report to
//   desired-parents.ts, reparent.ts             moving nodes to other parents
//   reconcile.ts                                the reconcile loop
//   outages.ts                                  events of links and nodes that go and come
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
import { OutageRecorder } from './outages.ts';
import { peerDenial, type OnHealth } from './reports/reports.ts';
import { dialsOf, WatchService, type AwaitedNode, type FindSources } from './watch.ts';

/** Pending joins: nodes that have a token and wait to be dialled. */
export interface AwaitedJoins<Join extends AwaitedNode = AwaitedNode> {
  pending(): Promise<readonly Join[]>;
  /** Called once their parents have been assigned to dial them. */
  attempt(pending: readonly Join[]): void;
}

export interface TopologyDeps<Join extends AwaitedNode> {
  readonly store: Store;
  readonly topology: LiveTopology;
  readonly identity: IdentityStore;
  readonly mesh: Mesh;
  readonly log: Logger;
  readonly joins: AwaitedJoins<Join>;
  /** Answers Sources.Find. */
  readonly findSources: FindSources;
  readonly onHealth: OnHealth;
  /** The address of this server's port from outside, as host:port, when it is known. */
  readonly serverAddress: string | undefined;
}

export interface TopologyServices {
  /** Sets the desired parents of a node that is still at the version that was read. */
  setParents(tx: StoreTransaction, id: string, change: NewParents, actor: Actor): Promise<Node>;
  stop(): Promise<void>;
}

export interface NewParents {
  readonly version: number;
  readonly parents: readonly NewParentInput[];
}

/** Registers the `topology` service on the mesh and starts the reconcile loop. */
export async function startTopology<Join extends AwaitedNode>(deps: TopologyDeps<Join>): Promise<TopologyServices> {
  const { store, topology, mesh, log, joins, findSources, onHealth, serverAddress } = deps;
  const self = deps.identity.current().node;
  const watch = new WatchService({ store, log, findSources, onHealth, denials: mesh.denials });
  const loop = new ReconcileLoop(async () => {
    await markApplied({ store, log }, topology);
    const pending = await joins.pending();
    const dials = dialsOf(topology, pending);
    mesh.assignDials(dials.get(SERVER) ?? []);
    watch.assign({ dials, parents: parentsAssignments(topology, self) });
    joins.attempt(pending);
  }, log);
  const recording = recordDenials(deps);
  const stopOutages = new OutageRecorder({ store, topology }).start(log);
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
      await stopOutages();
      await watch.stop();
      await recording.stop();
    },
  };
}

/** Records what this server's own mesh denies; other nodes report their denials. */
function recordDenials({
  store,
  identity,
  mesh,
  log,
}: Pick<TopologyDeps<AwaitedNode>, 'store' | 'identity' | 'mesh' | 'log'>): { stop(): Promise<void> } {
  const { node } = identity.current();
  const writing = new Set<Promise<unknown>>();
  const unsubscribe = mesh.denials.onRecorded((denial) => {
    const written = store.denials
      .record(denial.by, peerDenial(node, denial))
      .catch((err: unknown) => log.warn({ err }, 'could not record a denial'))
      .finally(() => writing.delete(written));
    writing.add(written);
  });
  return {
    async stop() {
      unsubscribe();
      await Promise.all(writing);
    },
  };
}

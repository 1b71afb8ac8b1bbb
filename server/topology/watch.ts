// The `topology` service: nodes report their links and load, and receive the children to dial and desired parents.
import type { PeerIdentity } from '../../certs/peer.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { JOIN_ROLES } from '../../contract/join-tokens.ts';
import type { Parent } from '../../contract/nodes.ts';
import { toServiceError } from '../../lib/grpc/errors.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { GrpcHost, type AsyncHandlers, type Caller } from '../../lib/grpc/server.ts';
import type { DialAssignment, MeshStream } from '../../mesh/types.ts';
import type { Assignment } from '../../proto/gen/isthmus/topology/v1/Assignment.ts';
import type { NodeReport__Output } from '../../proto/gen/isthmus/topology/v1/NodeReport.ts';
import type { SourcesHandlers } from '../../proto/gen/isthmus/topology/v1/Sources.ts';
import type { TopologyHandlers } from '../../proto/gen/isthmus/topology/v1/Topology.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { diallingParents, type ParentsAssignment } from './reparent.ts';
import { Reports, type Reporter, type ReportsDeps } from './reports/reports.ts';
import { routeName, type Topology } from './topology.ts';

const types = loadDefinitions('isthmus/topology/v1/topology.proto').isthmus.topology.v1;

type WatchCall = Parameters<AsyncHandlers<TopologyHandlers, PeerIdentity>['Watch']>[0];

export type FindSources = AsyncHandlers<SourcesHandlers, PeerIdentity>['Find'];

export interface WatchDeps extends ReportsDeps {
  readonly findSources: FindSources;
}

/** What each node is assigned, by node. */
interface Assigned {
  readonly dials: ReadonlyMap<string, readonly DialAssignment[]>;
  readonly parents: ReadonlyMap<string, ParentsAssignment>;
}

interface Watcher {
  readonly node: string;
  /** The last assignment sent, as JSON: the same one is not sent twice. */
  sent: string;
  send(assignment: Assignment): void;
}

export class WatchService {
  readonly #deps: WatchDeps;
  readonly #host: GrpcHost<PeerIdentity>;
  readonly #watchers = new Set<Watcher>();
  readonly #reports: Reports;
  /** Absent until the first assignment: an empty one would make a node drop the links that it dials. */
  #assigned: Assigned | undefined;

  constructor(deps: WatchDeps) {
    this.#deps = deps;
    this.#reports = new Reports(deps);
    this.#host = new GrpcHost<PeerIdentity>({
      log: deps.log,
      onError: (error, peer, method) => {
        // The feed records its own denials.
        if (error.code !== 'FORBIDDEN' || method !== types.Sources.service.Find.path)
          deps.denials.record(error, peer?.node ?? 'unknown', method);
      },
    });
    this.#host.add<TopologyHandlers>(
      types.Topology.service,
      { Watch: (call, caller) => this.#watch(call, caller) },
      { Watch: { roles: JOIN_ROLES } },
    );
    this.#host.add<SourcesHandlers>(
      types.Sources.service,
      { Find: deps.findSources },
      { Find: { roles: ['mirror', 'tentacle'] } },
    );
  }

  accept(stream: MeshStream): void {
    this.#host.accept(stream);
  }

  /** Sends every watching node whom to dial and its desired parents, where these have changed. */
  assign(assigned: Assigned): void {
    this.#assigned = assigned;
    for (const watcher of this.#watchers) this.#send(watcher);
  }

  async stop(): Promise<void> {
    await this.#host.stop();
    this.#reports.stop();
  }

  async #watch(call: WatchCall, caller: Caller<PeerIdentity>) {
    const { peer } = caller;
    const { store, log } = this.#deps;
    const fail = (thrown: unknown): void => {
      call.emit('error', toServiceError(thrown));
    };
    const reporter: Reporter = {
      caller,
      failed: (thrown) => {
        log.warn({ node: peer.node, err: thrown }, 'could not store a report');
        fail(thrown);
      },
    };
    // Subscribe before the first await, or the first report is lost.
    call.on('data', (report: NodeReport__Output) => this.#reports.take(reporter, report));
    const send = (assignment: Assignment): void => {
      call.write(assignment);
    };
    const watcher: Watcher = { node: peer.node, sent: '', send };
    const done = (): void => {
      this.#watchers.delete(watcher);
      this.#reports.drop(reporter);
    };
    call.on('end', () => {
      done();
      call.end();
    });
    call.on('cancelled', done);
    call.on('error', done);
    const known = await store.nodes.find(peer.node);
    if (known?.state !== 'active' || known.role !== peer.role) {
      done();
      throw new IsthmusError('FORBIDDEN', `${peer.node} is not an active ${peer.role} of this mesh`);
    }
    if (call.cancelled) return;
    this.#watchers.add(watcher);
    this.#send(watcher);
  }

  #send(watcher: Watcher): void {
    if (this.#assigned === undefined) return;
    const { parents = [], version: parentsVersion = 0 } = this.#assigned.parents.get(watcher.node) ?? {};
    const dial = [...(this.#assigned.dials.get(watcher.node) ?? [])];
    const assignment = { dial, parents: [...parents], parentsVersion };
    const text = JSON.stringify(assignment);
    if (text === watcher.sent) return;
    watcher.sent = text;
    watcher.send(assignment);
  }
}

/** A node that has not joined yet and waits to be dialled. Without a name (null) no parent can dial it. */
export interface AwaitedNode {
  readonly name: string | null;
  readonly parents: readonly Parent[];
}

/**
 * Who dials whom: each parent dials the children for which it has an address, and nodes with a pending join. All
 * servers count as one, 'server'.
 */
export function dialsOf(
  topology: Topology,
  pending: readonly AwaitedNode[],
  now: number = Date.now(),
): Map<string, DialAssignment[]> {
  const byParent = new Map<string, DialAssignment[]>();
  const add = (node: string, parents: readonly Parent[]): void => {
    for (const { node: parent, dialAddress: address } of parents) {
      if (address === null) continue;
      const name = routeName(topology, parent);
      const list = byParent.get(name) ?? [];
      if (!list.some((assigned) => assigned.node === node)) list.push({ node, address });
      byParent.set(name, list);
    }
  };
  const active = [...topology.nodes.values()].filter((node: Node) => node.state === 'active');
  for (const node of active) add(node.id, diallingParents(node, topology, now));
  for (const { name, parents } of pending) if (name !== null) add(name, parents);
  return byParent;
}

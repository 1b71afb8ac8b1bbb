// The `topology` service: nodes report their links and load, and are told which children to dial.
import type { PeerIdentity } from '../../certs/peer.ts';
import { IsthmusError } from '../../lib/errors.ts';
import { toServiceError } from '../../lib/grpc/errors.ts';
import { maxMessageBytes } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { GrpcHost, type AsyncHandlers, type Caller } from '../../lib/grpc/server.ts';
import { isErrorCode } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { checkFeedUrl } from '../../mesh/feeds.ts';
import { refusalsKept, type Refusals } from '../../mesh/refusals.ts';
import type { DialAssignment, MeshStream } from '../../mesh/types.ts';
import type { Assignment } from '../../proto/gen/isthmus/topology/v1/Assignment.ts';
import type { Refusal__Output } from '../../proto/gen/isthmus/topology/v1/Refusal.ts';
import type { NodeReport__Output } from '../../proto/gen/isthmus/topology/v1/NodeReport.ts';
import type { PlacesHandlers } from '../../proto/gen/isthmus/topology/v1/Places.ts';
import type { TopologyHandlers } from '../../proto/gen/isthmus/topology/v1/Topology.ts';
import type { Parent } from '../store/parents.ts';
import type { NewEvent } from '../store/repositories/events.ts';
import type { Node } from '../store/repositories/nodes.ts';
import type { JoinToken } from '../store/repositories/tokens.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import { routeName, type Topology } from './topology.ts';

const types = loadDefinitions('isthmus/topology/v1/topology.proto').isthmus.topology.v1;

/** A node reports every few seconds and on change; more often than this is not written. */
const minReportMs = 500;
/** A report names each link, up to all that a node may have and remember, some 250 bytes each. */
const maxReportBytes = maxMessageBytes;

type WatchCall = Parameters<AsyncHandlers<TopologyHandlers, PeerIdentity>['Watch']>[0];

export type FindPlaces = AsyncHandlers<PlacesHandlers, PeerIdentity>['Find'];

export interface WatchDeps {
  readonly store: Store;
  readonly log: Logger;
  readonly findPlaces: FindPlaces;
  /** Where this server notes whom it refuses. */
  readonly refusals: Refusals;
}

interface Watcher {
  readonly node: string;
  /** What was sent last, as JSON: nothing is sent twice. */
  sent: string;
  send(assignment: Assignment): void;
}

export class WatchService {
  readonly #deps: WatchDeps;
  readonly #host: GrpcHost<PeerIdentity>;
  readonly #watchers = new Set<Watcher>();
  #assignments = new Map<string, DialAssignment[]>();

  constructor(deps: WatchDeps) {
    this.#deps = deps;
    this.#host = new GrpcHost<PeerIdentity>({
      log: deps.log,
      onError: (error, peer, method) => {
        // What the feed refuses it records itself.
        if (error.code !== 'FORBIDDEN' || method !== types.Places.service.Find.path)
          deps.refusals.note(error, peer?.node ?? 'unknown', method);
      },
    });
    this.#host.add<TopologyHandlers>(
      types.Topology.service,
      { Watch: (call, caller) => this.#watch(call, caller) },
      { Watch: { roles: ['relay', 'mirror', 'tentacle'] } },
    );
    this.#host.add<PlacesHandlers>(
      types.Places.service,
      { Find: deps.findPlaces },
      { Find: { roles: ['mirror', 'tentacle'] } },
    );
  }

  accept(stream: MeshStream): void {
    this.#host.accept(stream);
  }

  /** Tells every watching node what it has to dial now, where that changed. */
  assign(assignments: Map<string, DialAssignment[]>): void {
    this.#assignments = assignments;
    for (const watcher of this.#watchers) this.#tell(watcher);
  }

  stop(): Promise<void> {
    return this.#host.stop();
  }

  async #watch(call: WatchCall, caller: Caller<PeerIdentity>) {
    const { peer } = caller;
    const { store, log } = this.#deps;
    const fail = (thrown: unknown): void => {
      call.emit('error', toServiceError(thrown));
    };
    // Before anything is awaited, or the first report would be missed.
    const writer = new ReportWriter(store, this.#deps.refusals, caller, (thrown) => {
      log.warn({ node: peer.node, err: thrown }, 'report not stored');
      fail(thrown);
    });
    call.on('data', (report: NodeReport__Output) => writer.take(report));
    const watcher: Watcher = { node: peer.node, sent: '', send: (assignment) => void call.write(assignment) };
    const done = (): void => {
      this.#watchers.delete(watcher);
      writer.stop();
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
    this.#tell(watcher);
  }

  #tell(watcher: Watcher): void {
    const dial = this.#assignments.get(watcher.node) ?? [];
    const text = JSON.stringify(dial);
    if (text === watcher.sent) return;
    watcher.sent = text;
    watcher.send({ dial });
  }
}

/** Writes the latest report of one node, at most every so often. */
class ReportWriter {
  readonly #store: Store;
  readonly #refusals: Refusals;
  readonly #caller: Caller<PeerIdentity>;
  readonly #failed: (thrown: unknown) => void;
  #latest: NodeReport__Output | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastMs = 0;

  constructor(store: Store, refusals: Refusals, caller: Caller<PeerIdentity>, failed: (thrown: unknown) => void) {
    this.#store = store;
    this.#refusals = refusals;
    this.#caller = caller;
    this.#failed = failed;
  }

  take(given: NodeReport__Output): void {
    this.#latest = { ...given, feedUrl: this.#acceptedUrl(given.feedUrl) };
    this.#timer ??= setTimeout(() => this.#write(), Math.max(0, this.#lastMs + minReportMs - Date.now()));
  }

  /** The URL at which a mirror says it is; none when no node could be there. */
  #acceptedUrl(url: string): string {
    if (url === '' || this.#caller.peer.role !== 'mirror') return '';
    try {
      checkFeedUrl(url);
      return url;
    } catch (thrown) {
      this.#refusals.note(IsthmusError.from(thrown), this.#caller.peer.node, 'feedUrl');
      return '';
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#latest = undefined;
  }

  #write(): void {
    this.#timer = undefined;
    const report = this.#latest;
    if (report === undefined) return;
    this.#lastMs = Date.now();
    if (JSON.stringify(report).length > maxReportBytes) {
      this.#failed(new IsthmusError('RESOURCE_EXHAUSTED', 'the report is too large'));
      return;
    }
    this.#store
      .transaction(async (tx) => {
        await this.#recordRefusals(tx, report.refusals.slice(-refusalsKept));
        await tx.nodes.sighted(this.#caller.peer.node, {
          report,
          softwareVersion: report.softwareVersion.slice(0, 100),
          feedUrl: report.feedUrl === '' ? null : report.feedUrl.slice(0, 500),
          lastSeenAt: Date.now(),
          certificateNotAfter: this.#caller.peer.notAfterMs,
        });
      })
      .catch(this.#failed);
  }

  /** Those that the last report did not have: as that one is replaced in the same transaction, each is recorded once. */
  async #recordRefusals(tx: StoreTransaction, refusals: readonly Refusal__Output[]): Promise<void> {
    if (refusals.length === 0) return;
    const { node } = this.#caller.peer;
    const known = new Set(reportedRefusals(await tx.nodes.get(node)));
    for (const refusal of refusals.filter(({ id }) => !known.has(id))) {
      const event = this.#store.refusals.admit(node, refusalEvent(node, refusal));
      if (event !== undefined) await tx.events.append(event);
    }
  }
}

/** A refusal as an audit event. `node` says so of itself; what it says is cut to what a good node says. */
export function refusalEvent(node: string, { code, by, what, detail, atMs }: Omit<Refusal__Output, 'id'>): NewEvent {
  return {
    actor: node,
    type: 'node.refused',
    subjectKind: 'peer',
    subject: by.slice(0, 100),
    data: { code: isErrorCode(code) ? code : 'INTERNAL', what: what.slice(0, 100), detail: detail.slice(0, 300), atMs },
  };
}

function reportedRefusals({ report }: Pick<Node, 'report'>): readonly string[] {
  const { refusals = [] } = (report ?? {}) as { readonly refusals?: readonly { readonly id: string }[] };
  return refusals.map(({ id }) => id);
}

/** Who dials whom: children by each parent that has an address, and nodes that wait to be let in. Servers are one: 'server'. */
export function assignmentsOf(topology: Topology, pending: readonly JoinToken[]): Map<string, DialAssignment[]> {
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
  for (const { id, parents } of active) add(id, parents);
  for (const { name, parents } of pending) if (name !== null) add(name, parents);
  return byParent;
}

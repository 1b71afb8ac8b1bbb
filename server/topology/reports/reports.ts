// Writes node reports to the store in batches. A thousand nodes that report every few seconds would make hundreds of
// commits a second, each with its sync; reports that arrive close together share one.
import { isIP } from 'node:net';
import { background } from '../../../lib/async/background.ts';
import type { PeerIdentity } from '../../../certs/peer.ts';
import { IsthmusError, isErrorCode } from '../../../contract/errors.ts';
import { MAX_MESSAGE_BYTES } from '../../../lib/grpc/client.ts';
import type { Caller } from '../../../lib/grpc/server.ts';
import { checkFeedUrl } from '../../../lib/net/feed-url.ts';
import type { Logger } from '../../../lib/telemetry/log.ts';
import { MAX_DENIALS, type Denials } from '../../../mesh/denials.ts';
import type { HealthReport__Output } from '../../../proto/gen/isthmus/health/v1/HealthReport.ts';
import type { NodeReport__Output } from '../../../proto/gen/isthmus/topology/v1/NodeReport.ts';
import type { DeniedStart__Output } from '../../../proto/gen/isthmus/topology/v1/DeniedStart.ts';
import type { Denial__Output } from '../../../proto/gen/isthmus/topology/v1/Denial.ts';
import { CacheEvents } from './cache-events.ts';
import { AbandonedSourceEvents } from './abandoned-sources.ts';
import type { NewDenial } from '../../store/events/denials.ts';
import type { Node } from '../../store/nodes/nodes.ts';
import type { Store, StoreTransaction } from '../../store/store.ts';
import { recordDeniedStart } from './denied-starts.ts';

/** The time between two commits; a node reports every few seconds and on change. */
const WRITE_EVERY_MS = 500;
/** The first report of a stream says that its node is here: whoever waits for it looks at once. */
const WRITE_FIRST_MS = 50;
/** A report lists every link that a node has or remembers, about 250 bytes each. */
const MAX_REPORT_BYTES = MAX_MESSAGE_BYTES;

/** A reporting node, on one of its streams. */
export interface Reporter {
  readonly caller: Caller<PeerIdentity>;
  /** Called when its report could not be stored. */
  failed(thrown: unknown): void;
}

type StoredReport = Omit<NodeReport__Output, 'health'>;

/** What is not written yet of a stream. */
interface Received {
  readonly report: StoredReport;
  /** The latest: not every report has it. */
  readonly health: ReceivedHealth | undefined;
}

interface ReceivedHealth {
  readonly report: HealthReport__Output;
  /** By the clock of this machine, for comparison with the tentacle's. */
  readonly receivedAtMs: number;
}

export interface ReportsDeps {
  readonly store: Store;
  /** Where this server records what it denies. */
  readonly denials: Denials;
  readonly onHealth: OnHealth;
  readonly log: Logger;
}

/** Called with the health that a tentacle has reported just now. It is not stored with the report. */
export type OnHealth = (machine: string, health: ReceivedHealth) => void;

export class Reports {
  readonly #store: Store;
  readonly #onHealth: OnHealth;
  readonly #denials: Denials;
  readonly #abandonedSources = new AbandonedSourceEvents();
  readonly #cacheEvents = new CacheEvents();
  readonly #log: Logger;
  #latest = new Map<Reporter, Received>();
  /** Whose first report came. */
  readonly #known = new WeakSet<Reporter>();
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Infinity;
  #lastMs = -WRITE_EVERY_MS;

  constructor({ store, denials, onHealth, log }: ReportsDeps) {
    this.#store = store;
    this.#denials = denials;
    this.#onHealth = onHealth;
    this.#log = log;
  }

  /** Stores a report soon, unless a later one of the same stream replaces it first. */
  take(reporter: Reporter, { health: measured, ...given }: NodeReport__Output): void {
    const report = { ...given, feedUrl: this.#acceptedUrl(reporter.caller.peer, given.feedUrl) };
    if (JSON.stringify(report).length > MAX_REPORT_BYTES) {
      reporter.failed(new IsthmusError('RESOURCE_EXHAUSTED', 'the report is too large'));
      return;
    }
    const health =
      measured === null ? this.#latest.get(reporter)?.health : { report: measured, receivedAtMs: Date.now() };
    // Re-insert at the end, so that reports are written in the order in which they came.
    this.#latest.delete(reporter);
    this.#latest.set(reporter, { report, health });
    const dueMs = this.#lastMs + WRITE_EVERY_MS;
    this.#writeBy(this.#known.has(reporter) ? dueMs : Math.min(dueMs, performance.now() + WRITE_FIRST_MS));
    this.#known.add(reporter);
  }

  /** Writes at that time of the monotonic clock, unless it will sooner. */
  #writeBy(dueMs: number): void {
    if (dueMs >= this.#dueMs) return;
    this.#dueMs = dueMs;
    clearTimeout(this.#timer);
    const write = (): void => {
      this.#dueMs = Infinity;
      this.#lastMs = performance.now();
      background('reports.write', this.#log, () => this.#write());
    };
    this.#timer = setTimeout(write, Math.max(0, dueMs - performance.now()));
  }

  /** The feed URL that a mirror reports; '' when no node may use it. */
  #acceptedUrl({ node, role }: PeerIdentity, url: string): string {
    if (url === '' || role !== 'mirror') return '';
    try {
      checkFeedUrl(url);
      return url;
    } catch (thrown) {
      this.#denials.record(IsthmusError.from(thrown), node, 'feedUrl');
      return '';
    }
  }

  /** Discards a report that has not been written yet: its stream has ended. */
  drop(reporter: Reporter): void {
    this.#latest.delete(reporter);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#latest.clear();
  }

  async #write(): Promise<void> {
    const batch = [...this.#latest];
    this.#latest = new Map();
    try {
      await this.#store.transaction(async (tx) => {
        for (const [{ caller }, { report }] of batch) await this.#record(tx, caller.peer, report);
      });
      this.#tellHealth(batch);
    } catch (thrown) {
      if (batch.length === 1) batch[0]![0].failed(thrown);
      else await this.#writeEach(batch);
    }
  }

  /** Stores each report on its own, so that a bad one fails alone. */
  async #writeEach(batch: readonly (readonly [Reporter, Received])[]): Promise<void> {
    for (const entry of batch) {
      const [reporter, { report }] = entry;
      await this.#store
        .transaction((tx) => this.#record(tx, reporter.caller.peer, report))
        .then(() => this.#tellHealth([entry]))
        .catch((thrown: unknown) => reporter.failed(thrown));
    }
  }

  #tellHealth(batch: readonly (readonly [Reporter, Received])[]): void {
    for (const [{ caller }, { health }] of batch) {
      if (health !== undefined && caller.peer.role === 'tentacle') this.#onHealth(caller.peer.node, health);
    }
  }

  async #record(tx: StoreTransaction, peer: PeerIdentity, report: StoredReport): Promise<void> {
    const { node, notAfterMs } = peer;
    await this.#recordDenials(tx, node, report.denials.slice(-MAX_DENIALS));
    await this.#abandonedSources.record(tx, node, report.abandonedSources);
    await this.#cacheEvents.record(tx, peer, report.cache);
    await tx.nodes.recordLastSeen(node, {
      report,
      softwareVersion: report.softwareVersion.slice(0, 100),
      feedUrl: report.feedUrl === '' ? null : report.feedUrl.slice(0, 500),
      lastSeenAt: Date.now(),
      certificateNotAfter: notAfterMs,
    });
  }

  /** A relay has denied a second process of its child. */
  async #recordDeniedStart(tx: StoreTransaction, via: string, denied: DeniedStart__Output): Promise<void> {
    const child = await tx.nodes.find(denied.node);
    if (child?.state !== 'active' || !child.parents.some(({ node }) => node === via)) return;
    const hostname = denied.hostname.slice(0, 255).toWellFormed();
    const address = isIP(denied.address) === 0 ? null : denied.address;
    await recordDeniedStart(tx, child.id, {
      nonce: denied.nonce.slice(0, 16),
      hostname,
      address,
      via,
      at: Date.now(),
    });
  }

  /** Records the denials that the last report lacked. It is replaced in the same transaction: each is recorded once. */
  async #recordDenials(tx: StoreTransaction, node: string, denials: readonly Denial__Output[]): Promise<void> {
    if (denials.length === 0) return;
    const known = new Set(reportedDenials(await tx.nodes.get(node)));
    for (const denial of denials.filter(({ id }) => !known.has(id))) {
      await tx.denials.record(node, peerDenial(node, denial));
      if (denial.deniedStart !== null) await this.#recordDeniedStart(tx, node, denial.deniedStart);
    }
  }
}

/** A denial that `node` reports. Reports are not trusted: fields are cut to the lengths that a good node sends. */
export function peerDenial(
  node: string,
  { code, by, what, detail, atMs }: Pick<Denial__Output, 'code' | 'by' | 'what' | 'detail' | 'atMs'>,
): NewDenial {
  return {
    actor: node,
    type: 'peer.denied',
    subject: by.slice(0, 100),
    data: { code: isErrorCode(code) ? code : 'INTERNAL', what: what.slice(0, 100), detail: detail.slice(0, 300), atMs },
  };
}

function reportedDenials({ report }: Pick<Node, 'report'>): readonly string[] {
  const { denials = [] } = (report ?? {}) as { readonly denials?: readonly { readonly id: string }[] };
  return denials.map(({ id }) => id);
}

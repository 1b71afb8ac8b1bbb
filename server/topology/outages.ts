// Records as events when links and nodes go and come. Only the topmost loss is recorded: what is behind it is unknown,
// and stays as it was recorded. Short losses are no events, and one that comes and goes has one pair a minute.
import { every } from '../../lib/async/background.ts';
import { CLOCKS, type Clocks } from '../../lib/async/clock-watch.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Node } from '../store/nodes/nodes.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import type { LiveTopology } from './live.ts';
import type { Link } from './topology.ts';

const LOOK_EVERY_MS = 1_000;
/** A loss or a return counts once it has lasted this long. */
const STABLE_MS = 5_000;
/** After its start a server waits this long for its nodes before it takes one for lost. */
const GRACE_MS = 30_000;
/** Between two recorded losses of the same link or node. */
const LOSS_EVERY_MS = 60_000;
/** Bounds how long one transaction lasts when everything is lost at once. */
const MOST_AT_ONCE = 200;

interface OutageDeps {
  readonly store: Pick<Store, 'outages' | 'transaction'>;
  readonly topology: LiveTopology;
  readonly clocks?: Clocks;
}

/** A link or node whose state is known. */
interface Observed {
  readonly isLost: boolean;
  appendLoss(tx: StoreTransaction): Promise<void>;
  appendReturn(tx: StoreTransaction, downMs: number): Promise<void>;
}

export class OutageRecorder {
  readonly #store: OutageDeps['store'];
  readonly #topology: LiveTopology;
  readonly #clocks: Clocks;
  readonly #startedMs: number;
  /** Since when a link or node differs from what is recorded. */
  readonly #differentSinceMs = new Map<string, number>();
  readonly #lastLossMs = new Map<string, number>();
  #looking: Promise<void> = Promise.resolve();

  constructor({ store, topology, clocks = CLOCKS }: OutageDeps) {
    this.#store = store;
    this.#topology = topology;
    this.#clocks = clocks;
    this.#startedMs = clocks.monotonic();
  }

  /** Looks each second. The returned function ends it, and waits for the look under way. */
  start(log: Logger): () => Promise<void> {
    const stop = every(LOOK_EVERY_MS, 'outages.record', log, () => this.look());
    return async () => {
      stop();
      await this.#looking.catch(() => undefined);
    };
  }

  /** Records what has lasted long enough; one look at a time. */
  look(): Promise<void> {
    this.#looking = this.#looking.catch(() => undefined).then(() => this.#look());
    return this.#looking;
  }

  async #look(): Promise<void> {
    const nowMs = this.#clocks.monotonic();
    const isSettled = nowMs - this.#startedMs >= GRACE_MS;
    const recorded = new Map((await this.#store.outages.all()).map(({ subject, since }) => [subject, since]));
    const observed = observe(this.#topology);
    const gone = isSettled ? [...recorded.keys()].filter((subject) => !observed.has(subject)) : [];
    const due = [...observed]
      .filter(([subject, state]) => this.#isDue(subject, state, recorded.has(subject), nowMs))
      .filter(([, state]) => state?.isLost !== true || isSettled)
      .slice(0, MOST_AT_ONCE);
    if (gone.length === 0 && due.length === 0) return;
    const now = this.#clocks.wall();
    await this.#store.transaction(async (tx) => {
      // Revoked, moved to other parents: other events tell of that.
      for (const subject of gone) await tx.outages.delete(subject);
      for (const [subject, state] of due) {
        const since = Math.round(now - (nowMs - this.#differentSinceMs.get(subject)!));
        if (state?.isLost === true) {
          await tx.outages.insert({ subject, since });
          await state.appendLoss(tx);
        } else {
          await tx.outages.delete(subject);
          await state?.appendReturn(tx, Math.max(0, since - recorded.get(subject)!));
        }
      }
    });
    for (const [subject, state] of due) {
      this.#differentSinceMs.delete(subject);
      if (state?.isLost === true) this.#lastLossMs.set(subject, nowMs);
    }
  }

  #isDue(subject: string, state: Observed | undefined, isRecorded: boolean, nowMs: number): boolean {
    if (state === undefined || state.isLost === isRecorded) {
      this.#differentSinceMs.delete(subject);
      return false;
    }
    const sinceMs = this.#differentSinceMs.get(subject) ?? nowMs;
    this.#differentSinceMs.set(subject, sinceMs);
    const lastLossMs = this.#lastLossMs.get(subject) ?? -Infinity;
    return nowMs - sinceMs >= STABLE_MS && (isRecorded || nowMs - lastLossMs >= LOSS_EVERY_MS);
  }
}

/** Every link to an active node, and every active node; undefined where the state is unknown. */
function observe(topology: LiveTopology): ReadonlyMap<string, Observed | undefined> {
  const observed = new Map<string, Observed | undefined>();
  for (const link of topology.links()) {
    if (topology.nodes.get(link.to)?.state === 'active') observed.set(`${link.from}>${link.to}`, linkNow(link));
  }
  for (const node of topology.nodes.values()) {
    if (node.role === 'server' || node.state !== 'active') continue;
    const { live } = topology.liveness(node);
    observed.set(node.id, live === 'unknown' ? undefined : nodeNow(node, live === 'offline'));
  }
  return observed;
}

function linkNow({ from, to, state, lastErrorCode }: Link): Observed | undefined {
  if (state === 'unknown') return undefined;
  const event = { actor: 'system', subject: `${from}>${to}` } as const;
  return {
    isLost: state === 'down',
    appendLoss: async (tx) => {
      await tx.events.append({ ...event, type: 'link.lost', data: { from, to, code: lastErrorCode } });
    },
    appendReturn: async (tx, downMs) => {
      await tx.events.append({ ...event, type: 'link.restored', data: { from, to, downMs } });
    },
  };
}

function nodeNow({ id, role, lastSeenAt }: Node, isLost: boolean): Observed {
  const event = { actor: 'system', subject: id } as const;
  return {
    isLost,
    appendLoss: async (tx) => {
      await tx.events.append({ ...event, type: 'node.lost', data: { role, lastSeenAt } });
    },
    appendReturn: async (tx, downMs) => {
      await tx.events.append({ ...event, type: 'node.restored', data: { downMs } });
    },
  };
}

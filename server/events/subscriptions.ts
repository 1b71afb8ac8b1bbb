// Subscriptions: components of the server that handle domain events. Each reads its event types in commit order from
// its own position, which is in the database: after a restart it continues there, and misses no event.
import type { EventType } from '../../contract/events.ts';
import { backoffMs } from '../../lib/async/backoff.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { pause } from '../../lib/async/waiting.ts';
import type { StoredEvent } from '../store/events/events.ts';
import type { Store, StoreTransaction } from '../store/store.ts';

/** How a subscription handles events, at most `BATCH_EVENTS` at once, in order. */
type Handler<Type extends EventType> =
  | {
      /** Changes the database in the transaction that moves the position: exactly once per event. */
      handle(events: readonly StoredEvent<Type>[], tx: StoreTransaction): Promise<void>;
    }
  | {
      /** Has effects elsewhere, before the position moves: at least once per event, so it must be idempotent. */
      act(events: readonly StoredEvent<Type>[]): Promise<void>;
    };

export type Subscription<Type extends EventType> = Handler<Type> & {
  readonly types: readonly Type[];
  /** Where a new subscription starts: at the first event ever, or at the next one. */
  readonly from: 'start' | 'now';
};

export interface SubscriptionStatus {
  readonly name: string;
  /** The number of the last event that was handled or skipped. */
  readonly position: number;
  /** How many events wait for it, and when the first of them was written. */
  readonly behind: number;
  readonly behindSince: number | null;
  /** Failures since the last success. */
  readonly failures: number;
}

interface SubscriptionTunables {
  /** Commits wake a subscription; this finds what no hint announced. */
  readonly pollEveryMs: number;
  readonly retry: { readonly baseMs: number; readonly capMs: number; readonly jitter: 'half' };
}

const DEFAULTS: SubscriptionTunables = {
  pollEveryMs: 10_000,
  retry: { baseMs: 1_000, capMs: 60_000, jitter: 'half' },
};
const BATCH_EVENTS = 100;
/** The position skips events of other types once there are this many: a commit for fewer costs more than a read. */
const SKIPPED_EVENTS = 100;

interface SubscriptionsOptions extends Partial<SubscriptionTunables> {
  readonly store: Store;
  readonly log: Logger;
}

export class EventSubscriptions {
  readonly #options: SubscriptionsOptions & SubscriptionTunables;
  readonly #readers = new Map<string, Reader>();
  readonly #stopping = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  #stopHints = (): void => undefined;

  constructor(options: SubscriptionsOptions) {
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Registers a subscription; call it before `start`. The database keeps its position by name. */
  subscribe<Type extends EventType>(name: string, subscription: Subscription<Type>): void {
    if (this.#readers.has(name)) throw new IsthmusError('INTERNAL', `subscription ${name} is registered twice`);
    // A reader passes it events of its own types only.
    const handler = subscription as unknown as Subscription<EventType>;
    this.#readers.set(name, new Reader(name, handler, this.#options));
  }

  /** Starts to read. Removes the positions of subscriptions that are no longer registered. */
  async start(): Promise<void> {
    const { store } = this.#options;
    const readers = [...this.#readers.values()];
    await store.transaction(async (tx) => {
      await tx.subscriptions.removeOthers([...this.#readers.keys()]);
      for (const reader of readers) await reader.add(tx);
    });
    this.#stopHints = store.onEvents((types) => {
      for (const reader of readers) reader.wake(types);
    });
    this.#running = Promise.all(readers.map((reader) => reader.run(this.#stopping.signal)));
  }

  /** The status of every subscription. */
  status(): Promise<SubscriptionStatus[]> {
    return Promise.all([...this.#readers.values()].map((reader) => reader.status()));
  }

  /** Stops reading, and waits for running handlers. */
  async stop(): Promise<void> {
    this.#stopHints();
    this.#stopping.abort();
    await this.#running;
  }
}

class Reader {
  readonly #name: string;
  readonly #subscription: Subscription<EventType>;
  readonly #options: SubscriptionsOptions & SubscriptionTunables;
  #waking = new AbortController();
  #failures = 0;

  constructor(
    name: string,
    subscription: Subscription<EventType>,
    options: SubscriptionsOptions & SubscriptionTunables,
  ) {
    this.#name = name;
    this.#subscription = subscription;
    this.#options = options;
  }

  async add(tx: StoreTransaction): Promise<void> {
    const position = this.#subscription.from === 'start' ? 0 : await tx.events.newest();
    await tx.subscriptions.add({ name: this.#name, position });
  }

  /** Most commits append events that this subscription does not read; it passes over those when it polls. */
  wake(types: ReadonlySet<EventType>): void {
    if (this.#subscription.types.some((type) => types.has(type))) this.#waking.abort();
  }

  async run(stopping: AbortSignal): Promise<void> {
    while (!stopping.aborted) {
      // Renewed before the read, so that a commit during the read wakes it again.
      this.#waking = new AbortController();
      try {
        const mayBeMore = await this.#step();
        this.#failures = 0;
        if (!mayBeMore) await pause(this.#options.pollEveryMs, this.#waking.signal, stopping);
      } catch (err) {
        await this.#failed(err);
        await pause(backoffMs(this.#failures - 1, this.#options.retry), stopping);
      }
    }
  }

  async status(): Promise<SubscriptionStatus> {
    const { store } = this.#options;
    const position = await store.subscriptions.position(this.#name);
    const { count, oldestAt } = await store.events.countUnread(position, this.#subscription.types);
    return { name: this.#name, position, behind: count, behindSince: oldestAt, failures: this.#failures };
  }

  /** Handles the next events; returns whether there may be more. */
  async #step(): Promise<boolean> {
    const { store } = this.#options;
    const from = await store.subscriptions.position(this.#name);
    const { events, upTo } = await store.events.unread(from, this.#subscription.types, BATCH_EVENTS);
    if (events.length === 0 && upTo - from < SKIPPED_EVENTS) return false;
    if (events.length > 0 && 'act' in this.#subscription) await this.#subscription.act(events);
    await store.transaction(async (tx) => {
      await tx.subscriptions.move(this.#name, { from, to: upTo });
      if (events.length > 0 && 'handle' in this.#subscription) await this.#subscription.handle(events, tx);
    });
    return events.length === BATCH_EVENTS;
  }

  async #failed(err: unknown): Promise<void> {
    this.#failures += 1;
    const { position, behind } = await this.status().catch(() => ({ position: null, behind: null }));
    const facts = { err, subscription: this.#name, position, behind, failures: this.#failures };
    this.#options.log.error(facts, 'events were not handled; will retry');
  }
}

// Group commit: writes that arrive during a commit share the next transaction, so that a hundred running tickets cost
// only a few commits.
import { setImmediate } from 'node:timers/promises';
import type { Store, StoreTransaction } from '../store/store.ts';

/** Bounds how long one transaction holds up readers: node:sqlite blocks the event loop while it works. */
const WRITES_PER_COMMIT = 64;

interface Pending {
  /** Runs the work; the returned function settles its promise once the transaction has committed. */
  readonly run: (tx: StoreTransaction) => Promise<() => void>;
  readonly reject: (thrown: unknown) => void;
}

export interface Writer {
  /**
   * Runs `work` in a transaction, possibly shared with others; resolves after the commit. When another write fails and
   * the shared transaction is rolled back, `work` runs a second time: it must change nothing but the store.
   */
  write<Result>(work: (tx: StoreTransaction) => Promise<Result>): Promise<Result>;
  /** Whether this writer has a transaction open: its own commits need not wake its owner. */
  readonly busy: boolean;
  /** Resolves when every requested write has settled. */
  idle(): Promise<void>;
}

/** A writer over `store`. */
export function createWriter(store: Pick<Store, 'transaction'>): Writer {
  const queue: Pending[] = [];
  let draining: Promise<void> | undefined;

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      // Takes along every write of this turn of the event loop. A commit blocks the loop while the disk works, so many
      // have usually arrived by its end.
      await setImmediate();
      const batch = queue.splice(0, WRITES_PER_COMMIT);
      if (batch.length === 1 || !(await commitTogether(store, batch))) await commitEach(store, batch);
    }
    draining = undefined;
  }

  return {
    write(work) {
      const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<typeof work>>>();
      queue.push({
        run: async (tx) => {
          const result = await work(tx);
          return () => resolve(result);
        },
        reject,
      });
      draining ??= drain();
      return promise;
    },
    get busy() {
      return draining !== undefined;
    },
    async idle() {
      while (draining !== undefined) await draining;
    },
  };
}

/** Returns false when any of the writes failed; then none is committed. */
async function commitTogether(store: Pick<Store, 'transaction'>, batch: readonly Pending[]): Promise<boolean> {
  try {
    const settle = await store.transaction(async (tx) => {
      const done: (() => void)[] = [];
      for (const { run } of batch) done.push(await run(tx));
      return done;
    });
    for (const settled of settle) settled();
    return true;
  } catch {
    return false;
  }
}

async function commitEach(store: Pick<Store, 'transaction'>, batch: readonly Pending[]): Promise<void> {
  for (const { run, reject } of batch) {
    try {
      (await store.transaction(run))();
    } catch (thrown) {
      reject(thrown);
    }
  }
}

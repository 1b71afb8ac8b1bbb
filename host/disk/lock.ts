// One change of a host's version at a time, by whomever.
import { IsthmusError } from '../../contract/errors.ts';
import { pause } from '../../lib/async/waiting.ts';
import { lockDataDir } from '../../lib/files/data-lock.ts';
import type { HostLayout } from '../layout.ts';
import { freeReserve } from './reserve.ts';
import { asNoRoom } from './room.ts';

const RETRY_MS = 1_000;

interface LockOptions {
  /** Waits for whoever has it, until this aborts. Without it, UPGRADE_BUSY. */
  readonly waiting?: AbortSignal;
}

/** Runs `work` while no other process changes the version of this host. The lock goes with the process that has it. */
export async function withVersionsLocked<Result>(
  layout: HostLayout,
  { waiting }: LockOptions,
  work: () => Promise<Result>,
): Promise<Result> {
  for (;;) {
    const lock = tryLock(layout);
    if (!(lock instanceof IsthmusError)) {
      try {
        return await work();
      } finally {
        lock.unlock();
      }
    }
    if (waiting === undefined || waiting.aborted) throw lock;
    await pause(RETRY_MS, waiting);
  }
}

function tryLock(layout: HostLayout): ReturnType<typeof lockDataDir> | IsthmusError {
  const lock = () => lockDataDir(layout.versions);
  try {
    try {
      return lock();
    } catch (thrown) {
      if (IsthmusError.from(thrown).code !== 'DISK_FULL') throw thrown;
      freeReserve(layout);
      return lock();
    }
  } catch (cause) {
    if (!(cause instanceof IsthmusError) || cause.code !== 'DATA_DIR_LOCKED') throw asNoRoom(layout, cause);
    return new IsthmusError('UPGRADE_BUSY', `the version of this host is being changed: ${cause.message}`, {
      cause,
    });
  }
}

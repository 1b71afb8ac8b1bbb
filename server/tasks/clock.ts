// After the clock of the machine was set: what was left of every open task's time, and of every lease, is left still.
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Store } from '../store/store.ts';

interface ClockOptions {
  readonly nodeId: string;
  readonly log: Logger;
}

/** Follows the clock with tasks, and writes an event for each jump. The returned function stops it. */
export function followClock(store: Pick<Store, 'onClockSet'>, { nodeId, log }: ClockOptions): () => void {
  return store.onClockSet(async (tx, byMs) => {
    log.warn({ byMs }, 'the clock was set');
    await tx.tasks.moveWithClock(byMs);
    await tx.events.append({ actor: 'system', type: 'clock.jumped', subject: nodeId, data: { byMs } });
  });
}

// Room on the disk that a change of the version keeps for its journal: where the disk fills up meanwhile, the host must
// still be able to go back.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HostLayout } from '../layout.ts';
import { asNoRoom } from './room.ts';

const BYTES = 256 * 1024;

/** Takes the room. DISK_FULL where there is none. */
export function keepReserve(layout: HostLayout): void {
  try {
    // Half of it is of use, too: it need not come at once, and leaves nothing else when it is cut off.
    writeFileSync(pathOf(layout), Buffer.alloc(BYTES, 'x'), { mode: 0o600, flush: true });
  } catch (thrown) {
    throw asNoRoom(layout, thrown);
  }
}

/** Gives the room to whoever needs it. */
export function freeReserve(layout: HostLayout): void {
  rmSync(pathOf(layout), { force: true });
}

function pathOf({ versions }: HostLayout): string {
  return join(versions, '.reserve');
}

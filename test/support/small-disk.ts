// A folder on a small disk of its own, for what must happen when a disk is full. Needs root; see needs.ts.
import { execFileSync } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Mounts a disk of `mebibytes` for the present test. */
export async function smallDisk(mebibytes: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-small-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=700`, 'tmpfs', folder]);
  onTestFinished(() => void execFileSync('sh', ['-c', 'umount -l "$0" && rmdir "$0"', folder]));
  return folder;
}

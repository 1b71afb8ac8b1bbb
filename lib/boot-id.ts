// The boot of this machine, which containers on it share.
import { readFileSync } from 'node:fs';

let known: string | undefined;

/** Differs after every boot of the machine. */
export function bootId(): string {
  known ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return known;
}

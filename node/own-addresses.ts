// The addresses at which other machines of its networks have this one.
import { networkInterfaces } from 'node:os';

const MOST_ADDRESSES = 32;

export class OwnAddresses {
  #last: readonly string[] = [];

  /** Those of now; those of before while the process has no file descriptor to ask the system with. */
  current(): string[] {
    try {
      const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
      const shown = all.filter(({ address, internal }) => !internal && !address.startsWith('fe80:'));
      this.#last = shown.slice(0, MOST_ADDRESSES).map(({ address }) => address);
    } catch {
      // They change less often than a process runs out of descriptors.
    }
    return [...this.#last];
  }
}

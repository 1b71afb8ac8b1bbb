// The connections of each API key: one client, gone wrong or malicious, must leave room for the others.
import type { Socket } from 'node:net';

export class KeyConnections {
  readonly #most: number;
  readonly #counts = new Map<string, number>();
  /** The key that used a connection last: a proxy sends the requests of many over one. */
  readonly #keys = new WeakMap<Socket, string>();

  /** `most`: how many one key may have. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Makes a connection this key's; false when the key has enough of them. */
  take(socket: Socket, key: string): boolean {
    const before = this.#keys.get(socket);
    if (before === key) return true;
    const count = this.#counts.get(key) ?? 0;
    if (count >= this.#most) return false;
    if (before === undefined) socket.once('close', () => this.#release(this.#keys.get(socket)!));
    else this.#release(before);
    this.#keys.set(socket, key);
    this.#counts.set(key, count + 1);
    return true;
  }

  #release(key: string): void {
    const count = this.#counts.get(key) ?? 0;
    if (count > 1) this.#counts.set(key, count - 1);
    else this.#counts.delete(key);
  }
}

// Acknowledges bulk bytes: one message per tunnel every few milliseconds, so that a fast line costs a few hundred small
// messages a second.

export class AckSender {
  readonly #everyMs: number;
  readonly #send: (tunnelId: Buffer, totalBytes: number) => void;
  readonly #pending = new Map<Buffer, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(everyMs: number, send: (tunnelId: Buffer, totalBytes: number) => void) {
    this.#everyMs = everyMs;
    this.#send = send;
  }

  /** `tunnelId` must be the same Buffer for all calls of one tunnel. */
  taken(tunnelId: Buffer, totalBytes: number): void {
    this.#pending.set(tunnelId, totalBytes);
    this.#timer ??= setTimeout(() => this.#flush(), this.#everyMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#pending.clear();
  }

  #flush(): void {
    this.#timer = undefined;
    for (const [tunnelId, totalBytes] of this.#pending) this.#send(tunnelId, totalBytes);
    this.#pending.clear();
  }
}

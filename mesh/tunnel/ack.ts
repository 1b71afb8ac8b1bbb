// Acknowledges bulk bytes: one message for all tunnels of a link every few milliseconds, so that a fast line costs at
// most a few hundred small messages a second.

export interface BulkAck {
  readonly tunnelId: Buffer;
  readonly receivedBytes: number;
}

export class AckSender {
  readonly #everyMs: number;
  readonly #send: (acks: BulkAck[]) => void;
  readonly #pending = new Map<Buffer, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(everyMs: number, send: (acks: BulkAck[]) => void) {
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
    this.#send([...this.#pending].map(([tunnelId, receivedBytes]) => ({ tunnelId, receivedBytes })));
    this.#pending.clear();
  }
}

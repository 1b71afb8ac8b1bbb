// What a cache must not evict, as the server says: pins (what is live at the mirror's sites, the version before it, and
// what people pinned) stay until the server says otherwise; leases, of running deployments, end by themselves unless the
// server renews them, so that one that ended while the server was away holds no room for ever.
export interface Lease {
  readonly sha256: string;
  /** The task that needs it. */
  readonly task: string;
  readonly forMs: number;
}

export interface Protected {
  readonly pins: readonly string[];
  readonly leases: readonly Lease[];
}

export class Protection {
  #pins: ReadonlySet<string>;
  /** Until when, by the monotonic clock. */
  #leases: ReadonlyMap<string, number> = new Map();

  /** `pins` are those from before a restart; leases are renewed by the server. */
  constructor(pins: readonly string[] = []) {
    this.#pins = new Set(pins);
  }

  /** Replaces what was protected before. */
  replace({ pins, leases }: Protected): void {
    this.#pins = new Set(pins);
    const until = new Map<string, number>();
    for (const { sha256, forMs } of leases) {
      until.set(sha256, Math.max(until.get(sha256) ?? 0, performance.now() + forMs));
    }
    this.#leases = until;
  }

  get pins(): readonly string[] {
    return [...this.#pins];
  }

  isPinned(sha256: string): boolean {
    return this.#pins.has(sha256);
  }

  isLeased(sha256: string): boolean {
    return (this.#leases.get(sha256) ?? -Infinity) > performance.now();
  }

  isProtected(sha256: string): boolean {
    return this.isPinned(sha256) || this.isLeased(sha256);
  }
}

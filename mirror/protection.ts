// What a cache keeps, as the server says: pins (what is live at the mirror's sites, what people pinned, and the version
// before) stay until the server says otherwise, and make room only for what somebody waits for; leases, of running
// deployments, are never evicted. They end by themselves unless the server renews them, so that one that ended while the
// server was away holds no room for ever.
export interface Lease {
  readonly sha256: string;
  /** The task that needs it. */
  readonly task: string;
  readonly forMs: number;
}

export interface Protected {
  /** The most important first. */
  readonly pins: readonly string[];
  readonly leases: readonly Lease[];
}

export class Protection {
  /** How important each is, above 0. */
  #pins: ReadonlyMap<string, number>;
  /** Until when, by the monotonic clock. */
  #leases: ReadonlyMap<string, number> = new Map();

  /** `pins` are those from before a restart; leases are renewed by the server. */
  constructor(pins: readonly string[] = []) {
    this.#pins = byImportance(pins);
  }

  /** Replaces what was protected before. */
  replace({ pins, leases }: Protected): void {
    this.#pins = byImportance(pins);
    const until = new Map<string, number>();
    for (const { sha256, forMs } of leases) {
      until.set(sha256, Math.max(until.get(sha256) ?? 0, performance.now() + forMs));
    }
    this.#leases = until;
  }

  get pins(): readonly string[] {
    return [...this.#pins.keys()];
  }

  isPinned(sha256: string): boolean {
    return this.#pins.has(sha256);
  }

  isLeased(sha256: string): boolean {
    return (this.#leases.get(sha256) ?? -Infinity) > performance.now();
  }

  /** How important a pin is: what is less goes first. 0 for what is not pinned. */
  importanceOf(sha256: string): number {
    return this.#pins.get(sha256) ?? 0;
  }
}

function byImportance(pins: readonly string[]): ReadonlyMap<string, number> {
  return new Map(pins.map((sha256, index) => [sha256, pins.length - index]));
}

// The heartbeat of a link, and the round trip that it measures. Silence is counted in ticks of our own timer, not by
// the clock: a process that was stopped, or whose event loop was busy, reads its input before it gives up on others.

export interface HeartbeatLimits {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** How finely silence is measured. */
const TICKS_PER_INTERVAL = 5;
/** Pings sent back to back at the start, so that the shortest round trip is known before bulk starts. */
const OPENING_PINGS = 4;
/** How long the shortest round trip is used: routes change, and a stale minimum would starve the window. */
const MINIMUM_MEMORY_MS = 60_000;

export class Heartbeat {
  #timer: NodeJS.Timeout | undefined;
  #silentTicks = 0;
  #ticks = 0;
  #nextId = 1;
  #sent: { id: number; atMs: number } | undefined;
  #smoothedMs: number | undefined;
  #minimum: { ms: number; atMs: number } | undefined;
  #limits: HeartbeatLimits;
  readonly #sendPing: (id: number) => void;
  readonly #onTimeout: () => void;
  readonly #queued: () => boolean;

  /** Runs several times per interval, for further checks. */
  onTick: () => void = () => undefined;

  /**
   * `queued` says whether bulk fills the line now: then a measured round trip may lower the minimum, never raise it.
   */
  constructor(
    limits: HeartbeatLimits,
    sendPing: (id: number) => void,
    onTimeout: () => void,
    queued: () => boolean = () => false,
  ) {
    this.#limits = limits;
    this.#sendPing = sendPing;
    this.#onTimeout = onTimeout;
    this.#queued = queued;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), this.#limits.intervalMs / TICKS_PER_INTERVAL);
    this.#ping();
  }

  /** Changes interval and timeout; a running heartbeat pings at once, so that the peer learns of it. */
  setLimits(limits: HeartbeatLimits): void {
    if (limits.intervalMs === this.#limits.intervalMs && limits.timeoutMs === this.#limits.timeoutMs) return;
    this.#limits = limits;
    if (this.#timer === undefined) return;
    this.stop();
    this.#silentTicks = 0;
    this.#ticks = 0;
    this.start();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Any frame of the peer counts. */
  heard(): void {
    this.#silentTicks = 0;
  }

  /** The answer to a ping. A late answer to an earlier ping is ignored: it says nothing about the line now. */
  pong(id: number): void {
    if (this.#sent?.id !== id) return;
    const now = performance.now();
    const ms = now - this.#sent.atMs;
    this.#sent = undefined;
    this.#smoothedMs = this.#smoothedMs === undefined ? ms : this.#smoothedMs * 0.875 + ms * 0.125;
    const minimum = this.#minimum;
    const stale = minimum !== undefined && now - minimum.atMs > MINIMUM_MEMORY_MS && !this.#queued();
    if (minimum === undefined || stale || ms <= minimum.ms) this.#minimum = { ms, atMs: now };
    if (this.#nextId <= OPENING_PINGS) this.#ping();
  }

  get roundTripMs(): number | undefined {
    return this.#smoothedMs;
  }

  /** The round trip without queues, from recent measurements. */
  get minRoundTripMs(): number | undefined {
    return this.#minimum?.ms;
  }

  #tick(): void {
    this.#silentTicks += 1;
    this.#ticks += 1;
    this.onTick();
    if (this.#silentTicks * (this.#limits.intervalMs / TICKS_PER_INTERVAL) >= this.#limits.timeoutMs) {
      this.stop();
      this.#onTimeout();
      return;
    }
    if (this.#ticks % TICKS_PER_INTERVAL === 0) this.#ping();
  }

  #ping(): void {
    const id = this.#nextId++;
    this.#sent = { id, atMs: performance.now() };
    this.#sendPing(id);
  }
}

// Signs of life on a link, and the round trip they measure. Silence is counted in ticks of our own timer, not by the
// clock: a process that was stopped, or whose event loop was busy, must hear what waits for it before it judges others.

export interface HeartbeatLimits {
  readonly intervalMs: number;
  readonly linkTimeoutMs: number;
}

/** Ticks per beat: how finely silence is measured. */
const ticksPerBeat = 5;
/** Beats sent in the first second, so that the shortest round trip is known before bulk starts. */
const openingBeats = 4;
/** The shortest round trip is believed this long: routes change, and a stale minimum would starve the window. */
const minimumMemoryMs = 60_000;

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
  readonly #onSilence: () => void;
  readonly #queued: () => boolean;

  /** `onTick` runs several times a beat, for whatever else is to be looked at then. */
  onTick: () => void = () => undefined;

  /** `queued` says whether bulk stands on the line now: then a round trip may be lower than believed, never higher. */
  constructor(
    limits: HeartbeatLimits,
    sendPing: (id: number) => void,
    onSilence: () => void,
    queued: () => boolean = () => false,
  ) {
    this.#limits = limits;
    this.#sendPing = sendPing;
    this.#onSilence = onSilence;
    this.#queued = queued;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), this.#limits.intervalMs / ticksPerBeat);
    this.#beat();
  }

  /** Takes another pace; a running heart beats at once, so that the other side hears of it. */
  pace(limits: HeartbeatLimits): void {
    if (limits.intervalMs === this.#limits.intervalMs && limits.linkTimeoutMs === this.#limits.linkTimeoutMs) return;
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

  /** Any frame of the peer's is a sign of life. */
  heard(): void {
    this.#silentTicks = 0;
  }

  /** The answer to a ping; a late answer to an older one says nothing of the line now. */
  pong(id: number): void {
    if (this.#sent?.id !== id) return;
    const now = performance.now();
    const ms = now - this.#sent.atMs;
    this.#sent = undefined;
    this.#smoothedMs = this.#smoothedMs === undefined ? ms : this.#smoothedMs * 0.875 + ms * 0.125;
    const minimum = this.#minimum;
    const stale = minimum !== undefined && now - minimum.atMs > minimumMemoryMs && !this.#queued();
    if (minimum === undefined || stale || ms <= minimum.ms) this.#minimum = { ms, atMs: now };
    if (this.#nextId <= openingBeats) this.#beat();
  }

  get roundTripMs(): number | undefined {
    return this.#smoothedMs;
  }

  /** The round trip without queues, as far as it was seen lately. */
  get minRoundTripMs(): number | undefined {
    return this.#minimum?.ms;
  }

  #tick(): void {
    this.#silentTicks += 1;
    this.#ticks += 1;
    this.onTick();
    if (this.#silentTicks * (this.#limits.intervalMs / ticksPerBeat) >= this.#limits.linkTimeoutMs) {
      this.stop();
      this.#onSilence();
      return;
    }
    if (this.#ticks % ticksPerBeat === 0) this.#beat();
  }

  #beat(): void {
    const id = this.#nextId++;
    this.#sent = { id, atMs: performance.now() };
    this.#sendPing(id);
  }
}

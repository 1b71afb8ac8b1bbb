// The bulk window of one link in one direction: at most twice the product of the delivery rate and the round trip
// without queues. Less would leave the line idle; more would only queue, and control on the same line would wait behind
// it.
//
//   SendWindow     one per link session and direction: the rate, the window, the shares of the tunnels
//   TunnelWindow   one per bulk tunnel: its bytes in flight, and the writer that waits for room
//
// While the window limits, rate = window / round trip, so a gain above one lets it grow each round trip up to the
// line's rate. It starts with a high gain, as TCP does, and changes to the steady one when the rate stops growing. Until
// then it is at least the window that the last transfer on the link ended with, less by its age: also after an idle
// time, in a new session, and in a new process.
import type { WindowLimits } from '../limits.ts';

const START_GAIN = 2.9;
/** Fills the line despite measurement noise, and leaves about half a round trip of queue. */
const STEADY_GAIN = 1.6;
/** The line's rate is found when the rate grew by less than this in so many round trips. */
const GROWTH = 1.25;
const PLATEAU_ROUNDS = 3;
/** A tunnel whose reader took nothing for this long gets no share. */
const PROGRESS_MEMORY_MS = 500;

/** A window that a transfer ended with, and when, in monotonic milliseconds. */
export interface KeptWindow {
  readonly bytes: number;
  readonly atMs: number;
}

export interface WindowOptions {
  /** Monotonic milliseconds. */
  readonly clock?: () => number;
  /** Of the session before. */
  readonly kept?: KeptWindow | undefined;
}

interface Sent {
  /** The tunnel's count of bytes written after this piece. */
  readonly end: number;
  readonly sentAtMs: number;
  /** The bytes that the link had delivered when it was sent. */
  readonly delivered: number;
  /** When those were acknowledged, and when they had been sent. */
  readonly deliveredAtMs: number;
  readonly deliveredSentAtMs: number;
  /** Whether the window limited; where the writer had no more, the piece says nothing about the line. */
  readonly limited: boolean;
}

type Phase =
  | { readonly name: 'starting'; readonly rate: number; readonly rounds: number; readonly roundEnd: number }
  | { readonly name: 'steady' };

const STARTING: Phase = { name: 'starting', rate: 0, rounds: 0, roundEnd: 0 };

export class SendWindow {
  readonly #limits: WindowLimits;
  readonly #minRoundTripMs: () => number | undefined;
  readonly clock: () => number;
  readonly #tunnels = new Set<TunnelWindow>();
  /** The highest delivery rate (bytes per ms) of each second that still counts. */
  #rates: { readonly second: number; rate: number }[] = [];
  #phase: Phase = STARTING;
  #kept: KeptWindow | undefined;
  delivered = 0;
  deliveredAtMs = 0;
  deliveredSentAtMs = 0;

  constructor(
    limits: WindowLimits,
    minRoundTripMs: () => number | undefined,
    { clock = () => performance.now(), kept }: WindowOptions = {},
  ) {
    this.#limits = limits;
    this.clock = clock;
    this.#kept = kept;
    this.#minRoundTripMs = minRoundTripMs;
  }

  /** The window that the last transfer ended with; undefined before the first. */
  get kept(): KeptWindow | undefined {
    return this.#kept;
  }

  open(): TunnelWindow {
    const tunnel = new TunnelWindow(this);
    this.#tunnels.add(tunnel);
    return tunnel;
  }

  close(tunnel: TunnelWindow): void {
    this.#tunnels.delete(tunnel);
    this.#wake(this.clock());
  }

  /** Bytes that may be in flight on the link. */
  bytes(nowMs: number): number {
    const { startBytes, floorBytes, capBytes } = this.#limits;
    const rate = this.#rate(nowMs);
    const isStarting = this.#phase.name === 'starting';
    const measured = (isStarting ? START_GAIN : STEADY_GAIN) * rate * this.#roundTripMs();
    const least = rate === 0 ? startBytes : floorBytes;
    return Math.min(capBytes, Math.max(least, measured, isStarting ? this.#keptBytes(nowMs) : 0));
  }

  get inFlight(): number {
    let bytes = 0;
    for (const tunnel of this.#tunnels) bytes += tunnel.inFlight;
    return bytes;
  }

  /** The part of one tunnel. */
  share(nowMs: number): number {
    let active = 0;
    for (const tunnel of this.#tunnels) if (tunnel.progressed(nowMs)) active += 1;
    return Math.max(this.#limits.floorBytes, Math.floor(this.bytes(nowMs) / Math.max(1, active)));
  }

  /** Updates the rate with an acknowledgement, and wakes waiting writers. */
  acknowledged(bytes: number, piece: Sent | undefined, nowMs: number): void {
    this.delivered += bytes;
    this.deliveredAtMs = nowMs;
    if (piece !== undefined) {
      // The bytes delivered over a round trip or more, divided by the longer of the times that sending and
      // acknowledging them took, so that a burst of acknowledgements after a hiccup does not look like a fast line.
      const acknowledgingMs = nowMs - piece.deliveredAtMs;
      const sendingMs = piece.sentAtMs - piece.deliveredSentAtMs;
      const rate = (this.delivered - piece.delivered) / Math.max(1, acknowledgingMs, sendingMs);
      this.deliveredSentAtMs = piece.sentAtMs;
      this.#remember(rate, piece.limited, nowMs);
      if (piece.limited) this.#countRound(piece, nowMs);
      this.#keep(nowMs);
    }
    this.#wake(nowMs);
  }

  /** What is left of the kept window after its age. */
  #keptBytes(nowMs: number): number {
    if (this.#kept === undefined) return 0;
    const { bytes, atMs } = this.#kept;
    return bytes * 0.5 ** (Math.max(0, nowMs - atMs) / this.#limits.keptHalfLifeMs);
  }

  /** Keeps the present window. While the line's rate is being found, only if it exceeds the one before. */
  #keep(nowMs: number): void {
    const bytes = Math.min(this.#limits.capBytes, STEADY_GAIN * this.#rate(nowMs) * this.#roundTripMs());
    if (this.#phase.name === 'starting' && bytes <= this.#keptBytes(nowMs)) return;
    this.#kept = { bytes: Math.round(bytes), atMs: nowMs };
  }

  #roundTripMs(): number {
    return Math.max(this.#minRoundTripMs() ?? 0, this.#limits.minRoundTripMs);
  }

  #rate(nowMs: number): number {
    const oldest = this.#oldestSecond(nowMs);
    let rate = 0;
    for (const sample of this.#rates) if (sample.second >= oldest) rate = Math.max(rate, sample.rate);
    if (rate === 0 && this.#phase.name === 'steady') this.#phase = STARTING;
    return rate;
  }

  #remember(rate: number, limited: boolean, nowMs: number): void {
    const { startBytes } = this.#limits;
    // A writer with little to send shows less than the line's rate: it may raise the window, never lower it.
    if (!limited && rate <= Math.max(this.#rate(nowMs), startBytes / this.#roundTripMs())) return;
    const second = Math.floor(nowMs / 1000);
    const oldest = this.#oldestSecond(nowMs);
    if (this.#rates.length > 0 && this.#rates[0]!.second < oldest) {
      this.#rates = this.#rates.filter((sample) => sample.second >= oldest);
    }
    const last = this.#rates.at(-1);
    if (last?.second === second) last.rate = Math.max(last.rate, rate);
    else this.#rates.push({ second, rate });
  }

  #countRound(piece: Sent, nowMs: number): void {
    const phase = this.#phase;
    if (phase.name !== 'starting' || piece.delivered < phase.roundEnd) return;
    const rate = this.#rate(nowMs);
    const roundEnd = this.delivered;
    if (rate >= phase.rate * GROWTH) this.#phase = { name: 'starting', rate, rounds: 0, roundEnd };
    else if (phase.rounds + 1 < PLATEAU_ROUNDS) this.#phase = { ...phase, rounds: phase.rounds + 1, roundEnd };
    else this.#phase = { name: 'steady' };
  }

  #oldestSecond(nowMs: number): number {
    return Math.floor((nowMs - this.#limits.rateMemoryMs) / 1000);
  }

  #wake(nowMs: number): void {
    const share = this.share(nowMs);
    for (const tunnel of this.#tunnels) tunnel.wake(share);
  }
}

export class TunnelWindow {
  readonly #link: SendWindow;
  #written = 0;
  #acknowledged = 0;
  #progressAtMs: number;
  #pieces: Sent[] = [];
  #waiting: (() => void) | undefined;

  constructor(link: SendWindow) {
    this.#link = link;
    this.#progressAtMs = link.clock();
  }

  get inFlight(): number {
    return this.#written - this.#acknowledged;
  }

  progressed(nowMs: number): boolean {
    return nowMs - this.#progressAtMs < PROGRESS_MEMORY_MS;
  }

  /** Bytes that may be written now. */
  room(): number {
    return this.#link.share(this.#link.clock()) - this.inFlight;
  }

  /** Runs `send` when there is room again. One writer at a time. */
  whenRoom(send: () => void): void {
    this.#waiting = send;
  }

  /** Counts a piece; `limited` says that there was more to write than room. */
  wrote(bytes: number, limited: boolean): void {
    const now = this.#link.clock();
    if (this.inFlight === 0) {
      // After idling, a piece's time counts from when it is sent.
      this.#progressAtMs = now;
      this.#link.deliveredAtMs = this.#link.deliveredSentAtMs = now;
    }
    this.#written += bytes;
    const { delivered, deliveredAtMs, deliveredSentAtMs } = this.#link;
    this.#pieces.push({ end: this.#written, sentAtMs: now, delivered, deliveredAtMs, deliveredSentAtMs, limited });
  }

  /**
   * The peer has read `received` bytes of this tunnel in total. A count that falls or exceeds what was sent is ignored.
   */
  acknowledge(received: number): void {
    if (received <= this.#acknowledged || received > this.#written) return;
    const now = this.#link.clock();
    const bytes = received - this.#acknowledged;
    this.#acknowledged = received;
    this.#progressAtMs = now;
    let covered = 0;
    while (covered < this.#pieces.length && this.#pieces[covered]!.end <= received) covered += 1;
    const piece = this.#pieces[covered - 1];
    if (covered > 0) this.#pieces.splice(0, covered);
    this.#link.acknowledged(bytes, piece, now);
  }

  wake(share: number): void {
    if (this.#waiting === undefined || this.inFlight >= share) return;
    const send = this.#waiting;
    this.#waiting = undefined;
    send();
  }

  close(): void {
    this.#waiting = undefined;
    this.#link.close(this);
  }
}

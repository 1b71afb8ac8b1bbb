// How much bulk may be in flight on one link in one direction: twice the product of the delivery rate and the round trip
// without queues. Less would leave the line idle, more would only queue, and control on the same line would wait behind.
//
//   SendWindow     one per link session and direction: the rate, the window, the shares of the tunnels
//   TunnelWindow   one per bulk tunnel: its bytes in flight, and the writer that waits for room
//
// While the window is what limits, rate = window / round trip, so it doubles each round trip until the line shows.
import type { WindowLimits } from '../limits.ts';

/** A tunnel whose reader took nothing for this long holds no share from the others. */
const progressMemoryMs = 500;

interface Sent {
  /** The tunnel's count of bytes written after this piece. */
  readonly end: number;
  /** What the link had delivered when it was sent, and when it last delivered anything then. */
  readonly delivered: number;
  readonly deliveredAtMs: number;
}

export class SendWindow {
  readonly limits: WindowLimits;
  readonly #minRoundTripMs: () => number | undefined;
  readonly #tunnels = new Set<TunnelWindow>();
  /** The highest delivery rate (bytes per ms) of each second that is still believed. */
  #rates: { second: number; rate: number }[] = [];
  delivered = 0;
  deliveredAtMs = 0;

  constructor(limits: WindowLimits, minRoundTripMs: () => number | undefined) {
    this.limits = limits;
    this.#minRoundTripMs = minRoundTripMs;
  }

  open(): TunnelWindow {
    const tunnel = new TunnelWindow(this);
    this.#tunnels.add(tunnel);
    return tunnel;
  }

  close(tunnel: TunnelWindow): void {
    this.#tunnels.delete(tunnel);
    this.#wake();
  }

  /** Bytes that may be in flight on the link now. */
  get bytes(): number {
    const { startBytes, floorBytes, capBytes, minRoundTripMs } = this.limits;
    let rate = 0;
    for (const sample of this.#rates) rate = Math.max(rate, sample.rate);
    if (rate === 0) return startBytes;
    const roundTripMs = Math.max(this.#minRoundTripMs() ?? 0, minRoundTripMs);
    return Math.min(capBytes, Math.max(floorBytes, 2 * rate * roundTripMs));
  }

  /** One tunnel's part of it. */
  share(nowMs: number): number {
    let active = 0;
    for (const tunnel of this.#tunnels) if (tunnel.progressed(nowMs)) active += 1;
    return Math.max(this.limits.floorBytes, this.bytes / Math.max(1, active));
  }

  /** Takes an acknowledgement into the rate, and lets waiting writers go on. */
  acknowledged(bytes: number, piece: Sent | undefined, nowMs: number): void {
    this.delivered += bytes;
    this.deliveredAtMs = nowMs;
    if (piece !== undefined) {
      // From the last delivery before the piece was sent to its own: at least a round trip, so that a burst of
      // acknowledgements after a stall does not pass for a fast line.
      const rate = (this.delivered - piece.delivered) / Math.max(1, nowMs - piece.deliveredAtMs);
      this.#remember(rate, nowMs);
    }
    this.#wake();
  }

  #remember(rate: number, nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    const oldest = second - Math.ceil(this.limits.rateMemoryMs / 1000);
    if (this.#rates.length > 0 && this.#rates[0]!.second < oldest) {
      this.#rates = this.#rates.filter((sample) => sample.second >= oldest);
    }
    const last = this.#rates.at(-1);
    if (last?.second === second) last.rate = Math.max(last.rate, rate);
    else this.#rates.push({ second, rate });
  }

  #wake(): void {
    const now = performance.now();
    const share = this.share(now);
    for (const tunnel of this.#tunnels) tunnel.wake(share);
  }
}

export class TunnelWindow {
  readonly #link: SendWindow;
  #written = 0;
  #acknowledged = 0;
  #progressAtMs = performance.now();
  #pieces: Sent[] = [];
  #waiting: (() => void) | undefined;

  constructor(link: SendWindow) {
    this.#link = link;
  }

  get inFlight(): number {
    return this.#written - this.#acknowledged;
  }

  progressed(nowMs: number): boolean {
    return nowMs - this.#progressAtMs < progressMemoryMs;
  }

  /** Bytes that may be written now. */
  room(): number {
    return Math.floor(this.#link.share(performance.now())) - this.inFlight;
  }

  /** Runs `send` when there is room again. One writer at a time. */
  whenRoom(send: () => void): void {
    this.#waiting = send;
  }

  wrote(bytes: number): void {
    const now = performance.now();
    if (this.inFlight === 0) {
      // After idling, a piece's time counts from its own sending.
      this.#progressAtMs = now;
      this.#link.deliveredAtMs = now;
    }
    this.#written += bytes;
    const { delivered, deliveredAtMs } = this.#link;
    this.#pieces.push({ end: this.#written, delivered, deliveredAtMs });
  }

  /** The peer has read `received` bytes of this tunnel in all. What goes backwards or beyond is ignored. */
  acknowledge(received: number): void {
    if (received <= this.#acknowledged || received > this.#written) return;
    const now = performance.now();
    const bytes = received - this.#acknowledged;
    this.#acknowledged = received;
    this.#progressAtMs = now;
    let covered = 0;
    while (covered < this.#pieces.length && this.#pieces[covered]!.end <= received) covered += 1;
    const piece = covered > 0 ? this.#pieces[covered - 1] : undefined;
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

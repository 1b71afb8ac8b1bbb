import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../limits.ts';
import { SendWindow, type TunnelWindow } from './window.ts';

/** A line in simulated time: a rate, a round trip, a queue without end, and acknowledgements every 5 ms. */
class Line {
  nowMs = 0;
  readonly window: SendWindow;
  readonly #bytesPerMs: number;
  readonly #roundTripMs: number;
  #freeAtMs = 0;
  #arriving: { atMs: number; tunnel: TunnelWindow; total: number }[] = [];
  readonly #written = new Map<TunnelWindow, number>();
  /** Until then, nothing reaches the sender: its process is held up. */
  deafUntilMs = 0;
  longestQueueMs = 0;

  constructor(megabits: number, roundTripMs: number) {
    this.#bytesPerMs = (megabits * 1000) / 8;
    this.#roundTripMs = roundTripMs;
    this.window = new SendWindow(
      DEFAULT_LIMITS.bulkWindow,
      () => roundTripMs,
      () => this.nowMs,
    );
  }

  get productBytes(): number {
    return this.#bytesPerMs * this.#roundTripMs;
  }

  /** Lets each tunnel send what it may for some time; returns the bytes delivered. */
  run(ms: number, tunnels: readonly TunnelWindow[], bytesPerTick = Infinity): number {
    const before = this.window.delivered;
    for (const until = this.nowMs + ms; this.nowMs < until; this.nowMs += 1) {
      if (this.nowMs >= this.deafUntilMs && this.nowMs % 5 === 0) this.#deliver(bytesPerTick);
      if (this.nowMs < this.deafUntilMs) continue;
      for (const tunnel of tunnels) this.#send(tunnel, bytesPerTick);
    }
    return this.window.delivered - before;
  }

  #send(tunnel: TunnelWindow, atMost: number): void {
    for (let left = atMost; left > 0;) {
      const room = tunnel.room();
      if (room <= 0) return;
      const bytes = Math.min(room, left, 16_384);
      left -= bytes;
      tunnel.wrote(bytes, bytes >= room);
      const total = (this.#written.get(tunnel) ?? 0) + bytes;
      this.#written.set(tunnel, total);
      this.longestQueueMs = Math.max(this.longestQueueMs, this.#freeAtMs - this.nowMs);
      this.#freeAtMs = Math.max(this.#freeAtMs, this.nowMs) + bytes / this.#bytesPerMs;
      this.#arriving.push({ atMs: this.#freeAtMs + this.#roundTripMs, tunnel, total });
    }
  }

  /** Handles one acknowledgement after the other, and sends what each makes room for before the next. */
  #deliver(bytesPerTick: number): void {
    const due = this.#arriving.filter(({ atMs }) => atMs <= this.nowMs);
    this.#arriving = this.#arriving.filter(({ atMs }) => atMs > this.nowMs);
    for (const { tunnel, total } of due) {
      tunnel.acknowledge(total);
      if (bytesPerTick === Infinity) this.#send(tunnel, bytesPerTick);
    }
  }
}

describe('the window of a link', () => {
  it.each([
    [100, 40],
    [20, 300],
    [1000, 20],
  ])('fills a line of %i Mbit/s and %i ms, and queues less than a round trip on it', (megabits, roundTripMs) => {
    const line = new Line(megabits, roundTripMs);
    const tunnel = line.window.open();
    line.run(40 * roundTripMs, [tunnel]);
    line.longestQueueMs = 0;
    const delivered = line.run(10_000, [tunnel]);
    expect(delivered / 10_000 / ((megabits * 1000) / 8)).toBeGreaterThan(0.97);
    expect(line.window.bytes(line.nowMs)).toBeLessThanOrEqual(2 * line.productBytes);
    expect(line.longestQueueMs).toBeLessThan(roundTripMs);
  });

  it('does not take the acknowledgements that waited for a busy process for a fast line', () => {
    const line = new Line(100, 40);
    const tunnel = line.window.open();
    line.run(3_000, [tunnel]);
    for (let i = 0; i < 5; i += 1) {
      line.deafUntilMs = line.nowMs + 35;
      line.run(1_000, [tunnel]);
      expect(line.window.bytes(line.nowMs)).toBeLessThanOrEqual(2.1 * line.productBytes);
    }
  });

  it('gives the share of a tunnel whose reader stalls to the others', () => {
    const line = new Line(100, 40);
    const [stalled, moving] = [line.window.open(), line.window.open()];
    line.run(3_000, [moving]);
    stalled.wrote(1000, false);
    line.run(1_000, [moving]);
    expect(line.window.share(line.nowMs)).toBe(Math.floor(line.window.bytes(line.nowMs)));
  });

  it('does not shrink because the writer has little to send', () => {
    const line = new Line(100, 40);
    const tunnel = line.window.open();
    line.run(20_000, [tunnel], 10);
    expect(line.window.bytes(line.nowMs)).toBe(DEFAULT_LIMITS.bulkWindow.startBytes);
  });

  it('ignores acknowledgements of what was never written', () => {
    const line = new Line(100, 40);
    const tunnel = line.window.open();
    tunnel.wrote(1000, false);
    tunnel.acknowledge(5000);
    tunnel.acknowledge(-1);
    expect(tunnel.inFlight).toBe(1000);
    tunnel.acknowledge(1000);
    tunnel.acknowledge(400);
    expect(tunnel.inFlight).toBe(0);
  });
});

import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../limits.ts';
import { SendWindow, type KeptWindow, type TunnelWindow } from './window.ts';

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

  constructor(megabits: number, roundTripMs: number, kept?: KeptWindow) {
    this.#bytesPerMs = (megabits * 1000) / 8;
    this.#roundTripMs = roundTripMs;
    this.window = new SendWindow(DEFAULT_LIMITS.bulkWindow, () => roundTripMs, { clock: () => this.nowMs, kept });
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

  describe('that a transfer ended with', () => {
    const ended = (): Line => {
      const line = new Line(100, 40);
      const tunnel = line.window.open();
      line.run(3_000, [tunnel]);
      line.run(200, [], 0);
      tunnel.close();
      return line;
    };
    /** The part of the line that the next transfer has in its first second. */
    const nextSecond = (line: Line): number => line.run(1_000, [line.window.open()]) / ((100 * 1000 * 1000) / 8);

    it('is where the next session on the link starts', () => {
      const kept = ended().window.kept!;
      expect(nextSecond(new Line(100, 40, { ...kept, atMs: 0 }))).toBeGreaterThan(0.95);
      expect(nextSecond(new Line(100, 40))).toBeLessThan(0.9);
    });

    it('is where the next transfer of the session starts, however long the line was idle', () => {
      const line = ended();
      line.nowMs += 120_000;
      expect(nextSecond(line)).toBeGreaterThan(0.95);
    });

    it('counts for half after ten minutes, and for nothing in the end', () => {
      const line = ended();
      const before = line.window.kept!.bytes;
      line.nowMs += 600_000;
      expect(line.window.bytes(line.nowMs)).toBeCloseTo(before / 2, -3);
      line.nowMs += 24 * 3_600_000;
      expect(line.window.bytes(line.nowMs)).toBe(DEFAULT_LIMITS.bulkWindow.startBytes);
    });

    it('gives way to what a slower line carries, within a few round trips', () => {
      const line = new Line(10, 40, { ...ended().window.kept!, atMs: 0 });
      const tunnel = line.window.open();
      line.run(4_000, [tunnel]);
      expect(line.window.bytes(line.nowMs)).toBeLessThanOrEqual(2 * line.productBytes);
      expect(line.window.kept!.bytes).toBeLessThanOrEqual(2 * line.productBytes);
    });

    it('is not replaced by what a short transfer reached', () => {
      const kept = ended().window.kept!;
      const line = new Line(100, 40, { ...kept, atMs: 0 });
      line.run(100, [line.window.open()], 500);
      expect(line.window.kept!.bytes).toBe(kept.bytes);
    });
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

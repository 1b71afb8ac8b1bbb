// How slow a source of bytes may be. Silence is not the only way to hold a download up: a byte a second is another.
import { IsthmusError } from '../../contract/errors.ts';

/**
 * How the bytes of an answer get here: over a network of the site, through relays, from a server outside the mesh, or
 * from a mirror that is itself still fetching them.
 */
export type SourceClass = 'open port' | 'mesh' | 'upstream' | 'passed on';

/** The next `bytes` must come within `withinMs` of waiting. */
export interface Floor {
  readonly bytes: number;
  readonly withinMs: number;
}

/** What each class of sources must send, and what the best of slow ones must send for a fetch to go on. */
export type Floors = Readonly<Record<SourceClass | 'lowest', Floor>>;

/**
 * A tenth of what a line of 256 kbit/s carries that others use, too, and more within a site. A mirror that is still
 * fetching has three times as long, so that it changes its own source before its targets leave it. The lowest floor
 * lets a line of 100 bytes a second carry a small package; below it no package gets anywhere.
 */
export const FLOORS: Floors = {
  'open port': { bytes: 128 * 1024, withinMs: 10_000 },
  mesh: { bytes: 16 * 1024, withinMs: 10_000 },
  upstream: { bytes: 16 * 1024, withinMs: 10_000 },
  'passed on': { bytes: 16 * 1024, withinMs: 30_000 },
  lowest: { bytes: 2 * 1024, withinMs: 40_000 },
};

/**
 * A source that sends nothing at all for this long is gone, or the path to it. TCP repeats a lost segment meanwhile.
 */
export const STALL_MS = 12_000;

/** What came in the time that was too long for it. */
export interface SlowSpell {
  readonly bytes: number;
  readonly ms: number;
}

/** SOURCE_SLOW: a source sent too little. */
export class TooSlow extends IsthmusError {
  readonly spell: SlowSpell;

  constructor(spell: SlowSpell) {
    super('SOURCE_SLOW', `${spell.bytes} bytes in ${spell.ms / 1000} s`);
    this.spell = spell;
  }
}

/** Whether so many bytes in this time reach a floor; those of a shorter time must be as many. */
export function reaches({ bytes, withinMs }: Floor, came: SlowSpell): boolean {
  return came.bytes >= bytes * Math.max(1, came.ms / withinMs);
}

/**
 * Watches one body. Only time between `wait` and `received` counts: what the receiver does meanwhile is not the
 * source's.
 */
export class ProgressFloor {
  readonly #floor: Floor;
  readonly #onSlow: (spell: SlowSpell) => void;
  #missingBytes: number;
  #leftMs: number;
  #waitingSinceMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(floor: Floor, onSlow: (spell: SlowSpell) => void) {
    this.#floor = floor;
    this.#onSlow = onSlow;
    this.#missingBytes = floor.bytes;
    this.#leftMs = floor.withinMs;
  }

  /** The source has the next move. */
  wait(): void {
    const { bytes, withinMs: ms } = this.#floor;
    this.#waitingSinceMs = performance.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#onSlow({ bytes: bytes - this.#missingBytes, ms }), Math.max(0, this.#leftMs));
  }

  /** Bytes have come; time does not count until the next `wait`. */
  received(bytes: number): void {
    clearTimeout(this.#timer);
    this.#leftMs -= performance.now() - this.#waitingSinceMs;
    this.#missingBytes -= bytes;
    if (this.#missingBytes <= 0) [this.#missingBytes, this.#leftMs] = [this.#floor.bytes, this.#floor.withinMs];
  }

  /** Ends the watch. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}

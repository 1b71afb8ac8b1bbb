// The time of day for deletions by age: when the clock of the machine is set, perhaps by mistake, nothing gets older by
// that at once. A jump counts when it has stood for a day.
import { DAY_MS } from '../time.ts';
import { CLOCKS, type Clocks } from './clock-watch.ts';

/** Clocks are slewed and set right all the time; only more than this is a jump. */
const LEAST_JUMP_MS = 60_000;

export class CautiousClock {
  readonly #clocks: Clocks;
  #offsetMs: number;
  #jumpedAtMs: number | undefined;

  constructor(clocks: Clocks = CLOCKS) {
    this.#clocks = clocks;
    this.#offsetMs = clocks.wall() - clocks.monotonic();
  }

  /** The time of day in ms, without a jump of less than a day ago. */
  now(): number {
    const [wallMs, monotonicMs] = [this.#clocks.wall(), this.#clocks.monotonic()];
    const jumpMs = wallMs - monotonicMs - this.#offsetMs;
    if (Math.abs(jumpMs) < LEAST_JUMP_MS) this.#jumpedAtMs = undefined;
    else if (monotonicMs - (this.#jumpedAtMs ??= monotonicMs) < DAY_MS) return monotonicMs + this.#offsetMs;
    this.#jumpedAtMs = undefined;
    this.#offsetMs = wallMs - monotonicMs;
    return wallMs;
  }
}

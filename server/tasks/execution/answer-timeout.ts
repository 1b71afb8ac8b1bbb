// Ends the wait for a machine that gives no answer for a while on end. What a slow line does between answers is no
// reason to give it up.
import { LongTimer } from '../../../lib/async/long-timer.ts';

export class AnswerTimeout {
  readonly #limitMs: () => number;
  readonly #controller = new AbortController();
  #timer: LongTimer | undefined;

  /** Waits from now on. Asks for the limit of each wait when that begins. */
  constructor(limitMs: () => number) {
    this.#limitMs = limitMs;
    this.waits();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The machine is called, or called again; time counts from the first call after an answer. */
  waits(): void {
    const now = () => performance.now();
    this.#timer ??= new LongTimer(now() + this.#limitMs(), () => this.#controller.abort(), { now });
  }

  /** It has answered. */
  answered(): void {
    this.#timer?.stop();
    this.#timer = undefined;
  }
}

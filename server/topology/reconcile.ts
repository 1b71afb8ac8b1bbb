// The reconcile loop: brings what nodes are assigned in line with the topology, every second and soon after a change,
// never two runs at once.
import { attempted, background } from '../../lib/async/background.ts';
import type { Logger } from '../../lib/telemetry/log.ts';

/** Within this time a relay learns of a new pending join that it has to dial. */
const RECONCILE_EVERY_MS = 1_000;

export class ReconcileLoop {
  readonly #reconcile: () => Promise<void>;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #again = false;
  #stopped = false;

  constructor(reconcile: () => Promise<void>, log: Logger) {
    this.#reconcile = reconcile;
    this.#log = log;
  }

  /** Resolves after the first run. */
  async start(): Promise<void> {
    await this.#run();
  }

  /** Runs at once, or again as soon as the run under way has ended. */
  soon(): void {
    if (this.#running) this.#again = true;
    else this.#runIn(0);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    this.#running = true;
    await attempted('topology.reconcile', this.#log, this.#reconcile);
    this.#running = false;
    this.#runIn(this.#again ? 0 : RECONCILE_EVERY_MS);
    this.#again = false;
  }

  #runIn(ms: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => background('topology.reconcile', this.#log, () => this.#run()), ms);
  }
}

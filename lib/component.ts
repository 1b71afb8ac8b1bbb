// What a part looks like from outside once it runs, and how it is put together and taken apart.
import type { Logger } from './telemetry/log.ts';

/** A started part: where it listens, and how to stop it. `stop` is idempotent and resolves when nothing is left. */
export interface Running<Addresses> {
  readonly addresses: Addresses;
  stop(): Promise<void>;
}

/** What is left to be done when a part stops; done in reverse order, each step whatever becomes of the others. */
export class Teardown {
  readonly #steps: (() => Promise<void> | void)[] = [];
  readonly #log: Logger;
  #done: Promise<void> | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  add(step: () => Promise<void> | void): void {
    this.#steps.push(step);
  }

  run(): Promise<void> {
    this.#done ??= this.#run();
    return this.#done;
  }

  async #run(): Promise<void> {
    for (const step of this.#steps.toReversed()) {
      try {
        await step();
      } catch (err) {
        this.#log.error({ err }, 'a part did not stop in order');
      }
    }
  }
}

/**
 * Starts a part by `assemble`, which says how to undo each thing that it has started. What fails leaves nothing
 * running.
 */
export async function startComponent<Addresses>(
  log: Logger,
  assemble: (teardown: Teardown) => Promise<Addresses>,
): Promise<Running<Addresses>> {
  const teardown = new Teardown(log);
  try {
    const addresses = await assemble(teardown);
    return { addresses, stop: () => teardown.run() };
  } catch (thrown) {
    await teardown.run();
    throw thrown;
  }
}

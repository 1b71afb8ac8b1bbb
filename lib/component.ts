// A running component (server, relay, mirror, tentacle): its start, and its tear-down in reverse order.
import type { Logger } from './telemetry/log.ts';

/** A started component: where it listens, and how to stop it. `stop` is idempotent; it resolves when all has stopped. */
export interface Running<Addresses> {
  readonly addresses: Addresses;
  stop(): Promise<void>;
}

/** The steps that stop a component: run in reverse order, each even if others fail. */
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
        this.#log.error({ err }, 'a tear-down step failed');
      }
    }
  }
}

/**
 * Starts a component with `assemble`, which adds a tear-down step for everything it starts. When it throws, all that it
 * started is stopped.
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

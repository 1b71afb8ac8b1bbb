// The desired parents to end a script: it may come from a caller or from its time limit, before the script runs or while it does.
import type { KillReason } from '../../journal/records.ts';

export class KillSwitch {
  readonly #asked = Promise.withResolvers<KillReason>();
  #reason: KillReason | undefined;

  /** Why the script is to end; undefined while nobody wants that. */
  get reason(): KillReason | undefined {
    return this.#reason;
  }

  /** Resolves once the script is to end. */
  get asked(): Promise<KillReason> {
    return this.#asked.promise;
  }

  /** Asks for the end; the first reason given is the one that counts. */
  ask(reason: KillReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#asked.resolve(reason);
  }
}

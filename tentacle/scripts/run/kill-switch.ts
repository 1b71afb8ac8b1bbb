// The request to kill a script, by a caller or by its time limit, before the script runs or while it does.
import type { KillReason } from '../../journal/records.ts';

export class KillSwitch {
  readonly #requested = Promise.withResolvers<KillReason>();
  #reason: KillReason | undefined;

  /** Why the script must end; undefined when no kill was requested. */
  get reason(): KillReason | undefined {
    return this.#reason;
  }

  /** Resolves once a kill is requested. */
  get requested(): Promise<KillReason> {
    return this.#requested.promise;
  }

  /** Requests the kill. The first reason counts. */
  request(reason: KillReason): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#requested.resolve(reason);
  }
}

// What a running part looks like from outside.

/** A started part: where it listens, and how to stop it. `stop` is idempotent and resolves when nothing is left. */
export interface Running<Addresses> {
  readonly addresses: Addresses;
  stop(): Promise<void>;
}

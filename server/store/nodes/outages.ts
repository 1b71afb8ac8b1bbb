// Outages: the links (`eu>web-1`) and nodes whose loss is recorded as an event, and their return not yet. Kept, so that
// a restart of the server neither records a loss twice nor misses a return.
import type { Executor } from '../base.ts';

export interface Outage {
  readonly subject: string;
  readonly since: number;
}

export class OutageRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async all(): Promise<Outage[]> {
    return this.#db.selectFrom('outages').selectAll().execute();
  }

  async insert(outage: Outage): Promise<void> {
    await this.#db.insertInto('outages').values(outage).execute();
  }

  async delete(subject: string): Promise<void> {
    await this.#db.deleteFrom('outages').where('subject', '=', subject).execute();
  }
}

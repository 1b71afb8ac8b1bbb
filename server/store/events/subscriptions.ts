// How far each subscription has read the events. A position moves in the transaction that handles the events, so that
// each one is handled once.
import { IsthmusError } from '../../../contract/errors.ts';
import { assertInTransaction, found, type Executor } from '../base.ts';

export interface SubscriptionPosition {
  readonly name: string;
  /** The number of the last event that was handled or skipped. */
  readonly position: number;
}

export class SubscriptionRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Adds a subscription at a position; an existing one keeps its own. */
  async add({ name, position }: SubscriptionPosition): Promise<void> {
    await this.#db
      .insertInto('event_subscriptions')
      .values({ name, position })
      .onConflict((conflict) => conflict.column('name').doNothing())
      .execute();
  }

  /** NOT_FOUND when there is no such subscription. */
  async position(name: string): Promise<number> {
    const row = await this.#db
      .selectFrom('event_subscriptions')
      .select('position')
      .where('name', '=', name)
      .executeTakeFirst();
    return found(row, `subscription ${name}`).position;
  }

  /** Advances a position; PRECONDITION_FAILED when another reader has. Call it in the transaction of the work. */
  async move(name: string, { from, to }: { readonly from: number; readonly to: number }): Promise<void> {
    assertInTransaction(this.#db);
    const { numUpdatedRows } = await this.#db
      .updateTable('event_subscriptions')
      .set({ position: to })
      .where('name', '=', name)
      .where('position', '=', from)
      .executeTakeFirst();
    if (numUpdatedRows > 0n) return;
    throw new IsthmusError('PRECONDITION_FAILED', `subscription ${name} is no longer at event ${from}`);
  }

  /** Deletes every subscription except these. */
  async removeOthers(names: readonly string[]): Promise<void> {
    let others = this.#db.deleteFrom('event_subscriptions');
    if (names.length > 0) others = others.where('name', 'not in', names);
    await others.execute();
  }
}

// Responses stored under the caller's Idempotency-Key, in the transaction of the effect that they report.
import type { Executor } from '../base.ts';

export interface RememberedAnswer {
  readonly requestSha256: string;
  readonly status: number;
  readonly body: string;
  readonly location: string | null;
}

interface AnswerKey {
  readonly apiKey: string;
  readonly key: string;
}

export class IdempotencyRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async find({ apiKey, key }: AnswerKey): Promise<RememberedAnswer | undefined> {
    const row = await this.#db
      .selectFrom('idempotency_keys')
      .selectAll()
      .where('api_key', '=', apiKey)
      .where('key', '=', key)
      .executeTakeFirst();
    if (row === undefined || row.status === null) return undefined;
    return { requestSha256: row.request_sha256, status: row.status, body: row.body ?? '', location: row.location };
  }

  async remember({ apiKey, key }: AnswerKey, answer: RememberedAnswer, now: number): Promise<void> {
    await this.#db
      .insertInto('idempotency_keys')
      .values({
        key,
        api_key: apiKey,
        request_sha256: answer.requestSha256,
        status: answer.status,
        body: answer.body,
        location: answer.location,
        created_at: now,
      })
      .execute();
  }

  /** Deletes what is older than `before`; returns how many. */
  async purgeBefore(before: number): Promise<number> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('idempotency_keys')
      .where('created_at', '<', before)
      .executeTakeFirst();
    return Number(numDeletedRows);
  }
}

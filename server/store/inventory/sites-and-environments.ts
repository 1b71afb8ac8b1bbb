// Sites and environments: an id, a name, a description. One repository class serves both.
import type { Executor, Page, PageRequest } from '../base.ts';
import { assertChanged, decodeCursor, found, toPage, mapConstraintErrors } from '../base.ts';

export interface SiteOrEnvironment {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly version: number;
  readonly createdAt: number;
}

export interface SiteOrEnvironmentPatch {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
}

type SitesOrEnvironmentsTable = 'sites' | 'environments';

interface SiteOrEnvironmentRow {
  id: string;
  name: string;
  description: string;
  version: number;
  created_at: number;
}

export class SiteOrEnvironmentRepository {
  readonly #db: Executor;
  readonly #table: SitesOrEnvironmentsTable;
  readonly #noun: 'site' | 'environment';

  constructor(db: Executor, table: SitesOrEnvironmentsTable) {
    this.#db = db;
    this.#table = table;
    this.#noun = table === 'sites' ? 'site' : 'environment';
  }

  /** ALREADY_EXISTS when the id is taken. */
  async insert({ id, name, description, createdAt }: Omit<SiteOrEnvironment, 'version'>): Promise<SiteOrEnvironment> {
    const row: SiteOrEnvironmentRow = { id, name, description, version: 1, created_at: createdAt };
    await mapConstraintErrors(
      `${this.#noun} ${id}`,
      () =>
        this.#table === 'sites'
          ? this.#db.insertInto('sites').values(row).execute()
          : this.#db
              .insertInto('environments')
              .values({ ...row, sort: 0 })
              .execute(),
      { exists: { code: 'SHOW_EXISTING', arguments: { kind: this.#noun, id } } },
    );
    return toSiteOrEnvironment(row);
  }

  async find(id: string): Promise<SiteOrEnvironment | undefined> {
    const row = await this.#rows().where('id', '=', id).executeTakeFirst();
    return row === undefined ? undefined : toSiteOrEnvironment(row);
  }

  async get(id: string): Promise<SiteOrEnvironment> {
    return found(await this.find(id), `${this.#noun} ${id}`, this.#noun);
  }

  /** By id. */
  async list(page: PageRequest): Promise<Page<SiteOrEnvironment>> {
    let query = this.#rows().orderBy('id');
    if (page.cursor !== undefined) query = query.where('id', '>', String(decodeCursor(page.cursor, ['string'])[0]));
    const rows = await query.limit(page.limit + 1).execute();
    return toPage(rows, page.limit, (row) => [row.id], toSiteOrEnvironment);
  }

  /** PRECONDITION_FAILED unless it still has `version`. */
  async update(id: string, version: number, patch: SiteOrEnvironmentPatch): Promise<SiteOrEnvironment> {
    const { numUpdatedRows } = await this.#db
      .updateTable(this.#table)
      .set({
        version: version + 1,
        ...(patch.name === undefined ? {} : { name: patch.name }),
        ...(patch.description === undefined ? {} : { description: patch.description }),
      })
      .where('id', '=', id)
      .where('version', '=', version)
      .executeTakeFirst();
    assertChanged(numUpdatedRows, `${this.#noun} ${id}`);
    return this.get(id);
  }

  /** IN_USE while something refers to it. */
  async delete(id: string, version: number): Promise<void> {
    const { numDeletedRows } = await mapConstraintErrors(
      `${this.#noun} ${id}`,
      () => this.#db.deleteFrom(this.#table).where('id', '=', id).where('version', '=', version).executeTakeFirst(),
      { by: this.#table === 'sites' ? 'nodes' : 'machines' },
    );
    assertChanged(numDeletedRows, `${this.#noun} ${id}`);
  }

  #rows() {
    return this.#db.selectFrom(this.#table).select(['id', 'name', 'description', 'version', 'created_at']);
  }
}

function toSiteOrEnvironment({ created_at, ...row }: SiteOrEnvironmentRow): SiteOrEnvironment {
  return { ...row, createdAt: created_at };
}

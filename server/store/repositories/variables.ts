// Variables of projects. A sensitive one has only its sealed value.
import type { Selectable } from 'kysely';
import type { Schema } from '../schema.ts';
import type { Executor, Page, PageRequest } from './base.ts';
import { assertChanged, decodeCursor, found, fromJson, toPage, translating } from './base.ts';

export interface Variable {
  readonly id: string;
  readonly project: string;
  readonly name: string;
  /** Null when sensitive; then `valueSealed` is set. */
  readonly value: string | null;
  readonly valueSealed: string | null;
  /** Empty lists mean everywhere. */
  readonly environments: readonly string[];
  readonly machines: readonly string[];
  readonly targetRoles: readonly string[];
  readonly version: number;
  readonly createdAt: number;
}

export type VariablePatch = {
  readonly [Field in 'name' | 'value' | 'valueSealed' | 'environments' | 'machines' | 'targetRoles']?:
    Variable[Field] | undefined;
};

export class VariableRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async insert(variable: Omit<Variable, 'version'>): Promise<Variable> {
    await translating(`variable ${variable.id}`, () =>
      this.#db
        .insertInto('variables')
        .values({
          id: variable.id,
          project: variable.project,
          name: variable.name,
          value: variable.value,
          value_sealed: variable.valueSealed,
          environments_json: JSON.stringify(variable.environments),
          machines_json: JSON.stringify(variable.machines),
          target_roles_json: JSON.stringify(variable.targetRoles),
          version: 1,
          created_at: variable.createdAt,
        })
        .execute(),
    );
    return { ...variable, version: 1 };
  }

  /** NOT_FOUND also when it is another project's. */
  async get(project: string, id: string): Promise<Variable> {
    const row = await this.#db
      .selectFrom('variables')
      .selectAll()
      .where('id', '=', id)
      .where('project', '=', project)
      .executeTakeFirst();
    return toVariable(found(row, `variable ${id} in project ${project}`));
  }

  /** By name. */
  async list(project: string, page: PageRequest): Promise<Page<Variable>> {
    let query = this.#ofProject(project);
    if (page.cursor !== undefined) {
      const [name, id] = decodeCursor(page.cursor, ['string', 'string']) as [string, string];
      query = query.where((eb) => eb(eb.refTuple('name', 'id'), '>', eb.tuple(name, id)));
    }
    const rows = await query.limit(page.limit + 1).execute();
    return toPage(rows, page.limit, (row) => [row.name, row.id], toVariable);
  }

  /** All of a project's, by name. */
  async all(project: string): Promise<Variable[]> {
    return (await this.#ofProject(project).execute()).map(toVariable);
  }

  /** PRECONDITION_FAILED unless it still has `version`. */
  async update(project: string, id: string, version: number, patch: VariablePatch): Promise<Variable> {
    const { numUpdatedRows } = await this.#db
      .updateTable('variables')
      .set({
        version: version + 1,
        ...(patch.name === undefined ? {} : { name: patch.name }),
        ...(patch.value === undefined ? {} : { value: patch.value }),
        ...(patch.valueSealed === undefined ? {} : { value_sealed: patch.valueSealed }),
        ...(patch.environments === undefined ? {} : { environments_json: JSON.stringify(patch.environments) }),
        ...(patch.machines === undefined ? {} : { machines_json: JSON.stringify(patch.machines) }),
        ...(patch.targetRoles === undefined ? {} : { target_roles_json: JSON.stringify(patch.targetRoles) }),
      })
      .where('id', '=', id)
      .where('project', '=', project)
      .where('version', '=', version)
      .executeTakeFirst();
    assertChanged(numUpdatedRows, `variable ${id}`);
    return this.get(project, id);
  }

  async delete(project: string, id: string, version: number): Promise<void> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('variables')
      .where('id', '=', id)
      .where('project', '=', project)
      .where('version', '=', version)
      .executeTakeFirst();
    assertChanged(numDeletedRows, `variable ${id}`);
  }

  #ofProject(project: string) {
    return this.#db.selectFrom('variables').selectAll().where('project', '=', project).orderBy('name').orderBy('id');
  }
}

function toVariable(row: Selectable<Schema['variables']>): Variable {
  return {
    id: row.id,
    project: row.project,
    name: row.name,
    value: row.value,
    valueSealed: row.value_sealed,
    environments: fromJson<string[]>(row.environments_json),
    machines: fromJson<string[]>(row.machines_json),
    targetRoles: fromJson<string[]>(row.target_roles_json),
    version: row.version,
    createdAt: row.created_at,
  };
}

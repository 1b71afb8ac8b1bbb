// Variables of projects, each with its scope. Of a sensitive one only the sealed value is stored.
import type { Selectable } from 'kysely';
import { IsthmusError } from '../../../contract/errors.ts';
import type { Schema, ScopeDimension } from '../schema.ts';
import type { Executor, Page, PageRequest } from '../base.ts';
import { assertChanged, assertInTransaction, decodeCursor, toPage, mapConstraintErrors } from '../base.ts';

/** The values of each limited dimension; a dimension without values is not limited. */
export type Scope = { readonly [Dimension in ScopeDimension]?: readonly string[] };

export interface Variable {
  readonly id: string;
  readonly project: string;
  readonly name: string;
  /** Null when sensitive; then `valueSealed` is set. */
  readonly value: string | null;
  readonly valueSealed: string | null;
  readonly scope: Scope;
  readonly version: number;
  readonly createdAt: number;
}

export type VariablePatch = {
  readonly [Field in 'name' | 'value' | 'valueSealed' | 'scope']?: Variable[Field] | undefined;
};

export class VariableRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Call it in a transaction. */
  async insert(variable: Omit<Variable, 'version'>): Promise<Variable> {
    assertInTransaction(this.#db);
    await mapConstraintErrors(`variable ${variable.id}`, () =>
      this.#db
        .insertInto('variables')
        .values({
          id: variable.id,
          project: variable.project,
          name: variable.name,
          value: variable.value,
          value_sealed: variable.valueSealed,
          version: 1,
          created_at: variable.createdAt,
        })
        .execute(),
    );
    await this.#insertScope(variable.id, variable.scope);
    return this.get(variable.project, variable.id);
  }

  /** NOT_FOUND also when it belongs to another project. */
  async get(project: string, id: string): Promise<Variable> {
    const row = await this.#db
      .selectFrom('variables')
      .selectAll()
      .where('id', '=', id)
      .where('project', '=', project)
      .executeTakeFirst();
    if (row === undefined) {
      throw new IsthmusError('NOT_FOUND', `there is no variable ${id} in project ${project}`, {
        action: { code: 'CHOOSE_VARIABLE', arguments: { project } },
      });
    }
    const [variable] = await this.#complete([row]);
    return variable!;
  }

  /** By name. */
  async list(project: string, page: PageRequest): Promise<Page<Variable>> {
    let query = this.#ofProject(project);
    if (page.cursor !== undefined) {
      const [name, id] = decodeCursor(page.cursor, ['string', 'string']) as [string, string];
      query = query.where((eb) => eb(eb.refTuple('name', 'id'), '>', eb.tuple(name, id)));
    }
    const rows = await query.limit(page.limit + 1).execute();
    const variables = await this.#complete(rows);
    return toPage(
      variables,
      page.limit,
      ({ name, id }) => [name, id],
      (variable) => variable,
    );
  }

  /** All variables of a project, by name. */
  async all(project: string): Promise<Variable[]> {
    return this.#complete(await this.#ofProject(project).execute());
  }

  /** The variables of all projects whose scope names this value, by project and name. */
  async scopedTo(dimension: ScopeDimension, value: string): Promise<Pick<Variable, 'id' | 'project' | 'name'>[]> {
    return this.#db
      .selectFrom('variables')
      .innerJoin('variable_scopes', 'variable_scopes.variable', 'variables.id')
      .select(['variables.id', 'variables.project', 'variables.name'])
      .where('variable_scopes.dimension', '=', dimension)
      .where('variable_scopes.value', '=', value)
      .orderBy('variables.project')
      .orderBy('variables.name')
      .execute();
  }

  /** PRECONDITION_FAILED unless it still has `version`. Call it in a transaction. */
  async update(project: string, id: string, version: number, patch: VariablePatch): Promise<Variable> {
    assertInTransaction(this.#db);
    const { numUpdatedRows } = await this.#db
      .updateTable('variables')
      .set({
        version: version + 1,
        ...(patch.name === undefined ? {} : { name: patch.name }),
        ...(patch.value === undefined ? {} : { value: patch.value }),
        ...(patch.valueSealed === undefined ? {} : { value_sealed: patch.valueSealed }),
      })
      .where('id', '=', id)
      .where('project', '=', project)
      .where('version', '=', version)
      .executeTakeFirst();
    assertChanged(numUpdatedRows, `variable ${id}`);
    if (patch.scope !== undefined) {
      await this.#deleteScope(id);
      await this.#insertScope(id, patch.scope);
    }
    return this.get(project, id);
  }

  /** Call it in a transaction. */
  async delete(project: string, id: string, version: number): Promise<void> {
    assertInTransaction(this.#db);
    await this.#deleteScope(id);
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

  async #insertScope(variable: string, scope: Scope): Promise<void> {
    const rows = Object.entries(scope).flatMap(([dimension, values]) =>
      values.map((value) => ({ variable, dimension: dimension as ScopeDimension, value })),
    );
    if (rows.length > 0) await this.#db.insertInto('variable_scopes').values(rows).execute();
  }

  async #deleteScope(variable: string): Promise<void> {
    await this.#db.deleteFrom('variable_scopes').where('variable', '=', variable).execute();
  }

  async #complete(rows: readonly Selectable<Schema['variables']>[]): Promise<Variable[]> {
    if (rows.length === 0) return [];
    const scopes = await this.#db
      .selectFrom('variable_scopes')
      .selectAll()
      .where(
        'variable',
        'in',
        rows.map(({ id }) => id),
      )
      .orderBy('value')
      .execute();
    const scopesOf = Map.groupBy(scopes, ({ variable }) => variable);
    return rows.map((row) => toVariable(row, scopesOf.get(row.id) ?? []));
  }
}

function toVariable(
  row: Selectable<Schema['variables']>,
  scopes: readonly Selectable<Schema['variable_scopes']>[],
): Variable {
  const byDimension = Map.groupBy(scopes, ({ dimension }) => dimension);
  const scope = [...byDimension].map(([dimension, own]) => [dimension, own.map(({ value }) => value)] as const);
  return {
    id: row.id,
    project: row.project,
    name: row.name,
    value: row.value,
    valueSealed: row.value_sealed,
    scope: Object.fromEntries(scope),
    version: row.version,
    createdAt: row.created_at,
  };
}

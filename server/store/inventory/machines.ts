// Machines: the targets of deployments. One per tentacle, with environments, target roles, routes and latest health.
import type { Selectable } from 'kysely';
import type { Health, MachineRoute, Thresholds } from '../../../contract/machines.ts';
import type { NodeState } from '../../../contract/nodes.ts';
import type { Schema } from '../schema.ts';
import type { Executor, Page, PageRequest } from '../base.ts';
import {
  assertChanged,
  assertInTransaction,
  decodeCursor,
  found,
  fromJson,
  fromJsonOrNull,
  toPage,
  mapConstraintErrors,
} from '../base.ts';
import { markChanged } from '../changed.ts';

export interface Machine {
  /** The id of its tentacle's node. */
  readonly id: string;
  readonly name: string;
  readonly site: string;
  readonly environments: readonly string[];
  readonly targetRoles: readonly string[];
  readonly routes: readonly MachineRoute[];
  readonly disabled: boolean;
  /** Of its node. */
  readonly state: NodeState;
  readonly health: Health;
  readonly healthReport: unknown;
  readonly healthAt: number | null;
  readonly thresholds: Thresholds | null;
  readonly version: number;
  readonly createdAt: number;
}

export type NewMachine = Pick<
  Machine,
  'id' | 'name' | 'site' | 'environments' | 'targetRoles' | 'routes' | 'createdAt'
>;

export type MachinePatch = {
  readonly [Field in 'name' | 'environments' | 'targetRoles' | 'routes' | 'disabled' | 'thresholds']?:
    Machine[Field] | undefined;
};

/** A machine must match every field that is given; it matches a list when it has any of the entries. */
export interface MachineFilter {
  readonly ids?: readonly string[] | undefined;
  readonly environments?: readonly string[] | undefined;
  readonly targetRoles?: readonly string[] | undefined;
  readonly site?: string | undefined;
  /** Neither disabled nor revoked. */
  readonly acceptsWork?: true | undefined;
}

/** Whether tasks have anything for it: it is neither disabled nor revoked. */
export function acceptsWork({ disabled, state }: Pick<Machine, 'disabled' | 'state'>): boolean {
  return !disabled && state === 'active';
}

export class MachineRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Call it in a transaction. */
  async insert(machine: NewMachine): Promise<void> {
    markChanged(this.#db, 'machines', machine.id);
    await mapConstraintErrors(`machine ${machine.id}`, () =>
      this.#db
        .insertInto('machines')
        .values({
          id: machine.id,
          name: machine.name,
          site: machine.site,
          routes_json: JSON.stringify(machine.routes),
          disabled: 0,
          health: 'unknown',
          version: 1,
          created_at: machine.createdAt,
        })
        .execute(),
    );
    await this.#setEnvironments(machine.id, machine.environments);
    await this.#setRoles(machine.id, machine.targetRoles);
  }

  async find(id: string): Promise<Machine | undefined> {
    const [machine] = await this.select({ ids: [id] });
    return machine;
  }

  async get(id: string): Promise<Machine> {
    return found(await this.find(id), `machine ${id}`, 'machine');
  }

  /** The routes of these machines, or of all, by machine. */
  async routesOf(ids?: readonly string[]): Promise<Map<string, MachineRoute[]>> {
    const query = this.#db.selectFrom('machines').select(['id', 'routes_json']);
    const rows = await (ids === undefined ? query : query.where('id', 'in', ids)).execute();
    return new Map(rows.map((row) => [row.id, fromJson<MachineRoute[]>(row.routes_json)]));
  }

  /** By id. */
  async list(filter: MachineFilter, page: PageRequest): Promise<Page<Machine>> {
    let query = this.#filtered(filter);
    if (page.cursor !== undefined) query = query.where('id', '>', String(decodeCursor(page.cursor, ['string'])[0]));
    const rows = await query.limit(page.limit + 1).execute();
    const machines = await this.#complete(rows.slice(0, page.limit));
    const { next } = toPage(
      rows,
      page.limit,
      (row) => [row.id],
      (row) => row.id,
    );
    return next === undefined ? { items: machines } : { items: machines, next };
  }

  /** All machines that match, by id. */
  async select(filter: MachineFilter): Promise<Machine[]> {
    return this.#complete(await this.#filtered(filter).execute());
  }

  /** PRECONDITION_FAILED unless it still has `version`. Call it in a transaction. */
  async update(id: string, version: number, patch: MachinePatch): Promise<Machine> {
    assertInTransaction(this.#db);
    if (patch.routes !== undefined) markChanged(this.#db, 'machines', id);
    const { numUpdatedRows } = await this.#db
      .updateTable('machines')
      .set({
        version: version + 1,
        ...(patch.name === undefined ? {} : { name: patch.name }),
        ...(patch.routes === undefined ? {} : { routes_json: JSON.stringify(patch.routes) }),
        ...(patch.disabled === undefined ? {} : { disabled: patch.disabled ? 1 : 0 }),
        ...(patch.thresholds === undefined ? {} : { thresholds_json: JSON.stringify(patch.thresholds) }),
      })
      .where('id', '=', id)
      .where('version', '=', version)
      .executeTakeFirst();
    assertChanged(numUpdatedRows, `machine ${id}`);
    if (patch.environments !== undefined) await this.#setEnvironments(id, patch.environments);
    if (patch.targetRoles !== undefined) await this.#setRoles(id, patch.targetRoles);
    return this.get(id);
  }

  /** Stores the result of a health check. Does not change the version. */
  async setHealth(id: string, health: Health, report: unknown, now: number): Promise<void> {
    await this.#db
      .updateTable('machines')
      .set({ health, health_at: now, ...(report === undefined ? {} : { health_json: JSON.stringify(report) }) })
      .where('id', '=', id)
      .execute();
  }

  /** Call it in a transaction. */
  async delete(id: string, version: number): Promise<void> {
    markChanged(this.#db, 'machines', id);
    await this.#db.deleteFrom('machine_environments').where('machine', '=', id).execute();
    await this.#db.deleteFrom('machine_target_roles').where('machine', '=', id).execute();
    const { numDeletedRows } = await this.#db
      .deleteFrom('machines')
      .where('id', '=', id)
      .where('version', '=', version)
      .executeTakeFirst();
    assertChanged(numDeletedRows, `machine ${id}`);
  }

  #filtered({ ids, environments, targetRoles, site, acceptsWork }: MachineFilter) {
    let query = this.#db.selectFrom('machines').selectAll().orderBy('id');
    if (ids !== undefined) query = query.where('id', 'in', [...ids]);
    if (site !== undefined) query = query.where('site', '=', site);
    if (acceptsWork === true) {
      query = query
        .where('disabled', '=', 0)
        .where('id', 'not in', (eb) => eb.selectFrom('nodes').select('id').where('state', '=', 'revoked'));
    }
    if (environments !== undefined) {
      query = query.where('id', 'in', (eb) =>
        eb
          .selectFrom('machine_environments')
          .select('machine')
          .where('environment', 'in', [...environments]),
      );
    }
    if (targetRoles !== undefined) {
      query = query.where('id', 'in', (eb) =>
        eb
          .selectFrom('machine_target_roles')
          .select('machine')
          .where('role', 'in', [...targetRoles]),
      );
    }
    return query;
  }

  async #complete(rows: readonly Selectable<Schema['machines']>[]): Promise<Machine[]> {
    if (rows.length === 0) return [];
    const ids = rows.map((row) => row.id);
    const environments = await this.#db
      .selectFrom('machine_environments')
      .selectAll()
      .where('machine', 'in', ids)
      .orderBy('environment')
      .execute();
    const targetRoles = await this.#db
      .selectFrom('machine_target_roles')
      .selectAll()
      .where('machine', 'in', ids)
      .orderBy('role')
      .execute();
    const revoked = await this.#db
      .selectFrom('nodes')
      .select('id')
      .where('id', 'in', ids)
      .where('state', '=', 'revoked')
      .execute();
    const revokedIds = new Set(revoked.map((row) => row.id));
    const environmentsOf = Map.groupBy(environments, (row) => row.machine);
    const rolesOf = Map.groupBy(targetRoles, (row) => row.machine);
    return rows.map((row) =>
      toMachine(row, {
        environments: (environmentsOf.get(row.id) ?? []).map((entry) => entry.environment),
        targetRoles: (rolesOf.get(row.id) ?? []).map((entry) => entry.role),
        state: revokedIds.has(row.id) ? 'revoked' : 'active',
      }),
    );
  }

  async #setEnvironments(machine: string, environments: readonly string[]): Promise<void> {
    await this.#db.deleteFrom('machine_environments').where('machine', '=', machine).execute();
    if (environments.length === 0) return;
    const rows = [...new Set(environments)].map((environment) => ({ machine, environment }));
    await mapConstraintErrors(`environment of machine ${machine}`, () =>
      this.#db.insertInto('machine_environments').values(rows).execute(),
    );
  }

  async #setRoles(machine: string, targetRoles: readonly string[]): Promise<void> {
    await this.#db.deleteFrom('machine_target_roles').where('machine', '=', machine).execute();
    if (targetRoles.length === 0) return;
    const rows = [...new Set(targetRoles)].map((role) => ({ machine, role }));
    await this.#db.insertInto('machine_target_roles').values(rows).execute();
  }
}

function toMachine(
  row: Selectable<Schema['machines']>,
  { environments, targetRoles, state }: Pick<Machine, 'environments' | 'targetRoles' | 'state'>,
): Machine {
  return {
    id: row.id,
    name: row.name,
    site: row.site,
    environments,
    targetRoles,
    routes: fromJson<MachineRoute[]>(row.routes_json),
    disabled: row.disabled !== 0,
    state,
    health: row.health,
    healthReport: fromJsonOrNull(row.health_json),
    healthAt: row.health_at,
    thresholds: fromJsonOrNull<Thresholds>(row.thresholds_json),
    version: row.version,
    createdAt: row.created_at,
  };
}

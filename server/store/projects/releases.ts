// Releases (immutable snapshots of a project) and deployments (a release sent to an environment by a task).
import type { Selectable } from 'kysely';
import { packageIdKey, versionKey } from '../../../lib/package-versions.ts';
import type { PinnedPackage, ProcessStep } from './process.ts';
import type { Schema } from '../schema.ts';
import type { Executor, Page, PageRequest } from '../base.ts';
import { assertInTransaction, decodeCursor, found, fromJson, toPage, mapConstraintErrors } from '../base.ts';
import type { Variable } from './variables.ts';

export interface Release {
  readonly id: string;
  readonly project: string;
  readonly version: string;
  /** With `project` the key; one for every spelling of a version. */
  readonly versionKey: string;
  readonly notes: string;
  readonly process: readonly ProcessStep[];
  readonly packages: readonly PinnedPackage[];
  /** As they were when the release was created; sensitive values are sealed. */
  readonly variables: readonly Variable[];
  readonly createdAt: number;
}

export interface Deployment {
  readonly id: string;
  readonly project: string;
  /** The release's id, also of one that has been deleted; `version` stays. */
  readonly release: string;
  readonly version: string;
  readonly environment: string;
  readonly task: string;
  readonly createdAt: number;
}

interface DeploymentFilter {
  readonly project?: string | undefined;
  readonly environment?: string | undefined;
}

export class ReleaseRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** ALREADY_EXISTS when the project has this version already. Call it in a transaction. */
  async insert(release: Release): Promise<void> {
    assertInTransaction(this.#db);
    await mapConstraintErrors(`release ${release.version} of ${release.project}`, () =>
      this.#db
        .insertInto('releases')
        .values({
          id: release.id,
          project: release.project,
          version: release.version,
          version_key: release.versionKey,
          notes: release.notes,
          process_json: JSON.stringify(release.process),
          packages_json: JSON.stringify(release.packages),
          variables_json: JSON.stringify(release.variables),
          created_at: release.createdAt,
        })
        .execute(),
    );
    const pins = release.packages.map(({ step, id, version }) => ({
      ...{ release: release.id, step, id_key: packageIdKey(id), version_key: versionKey(version) },
    }));
    if (pins.length > 0) await this.#db.insertInto('release_packages').values(pins).execute();
  }

  async get(id: string): Promise<Release> {
    const row = await this.#db.selectFrom('releases').selectAll().where('id', '=', id).executeTakeFirst();
    return toRelease(found(row, `release ${id}`, 'release'));
  }

  async findVersion(project: string, versionKey: string): Promise<Release | undefined> {
    const row = await this.#db
      .selectFrom('releases')
      .selectAll()
      .where('project', '=', project)
      .where('version_key', '=', versionKey)
      .executeTakeFirst();
    return row === undefined ? undefined : toRelease(row);
  }

  /** Newest first. */
  async list(project: string, page: PageRequest): Promise<Page<Release>> {
    let query = this.#db
      .selectFrom('releases')
      .selectAll()
      .where('project', '=', project)
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc');
    if (page.cursor !== undefined) {
      const [at, id] = decodeCursor(page.cursor, ['number', 'string']) as [number, string];
      query = query.where((eb) => eb(eb.refTuple('created_at', 'id'), '<', eb.tuple(at, id)));
    }
    const rows = await query.limit(page.limit + 1).execute();
    return toPage(rows, page.limit, (row) => [row.created_at, row.id], toRelease);
  }

  async delete(id: string): Promise<void> {
    await this.#db.deleteFrom('releases').where('id', '=', id).execute();
  }
}

export class DeploymentRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async insert(deployment: Deployment): Promise<void> {
    const { createdAt, ...row } = deployment;
    await mapConstraintErrors(`deployment ${deployment.id}`, () =>
      this.#db
        .insertInto('deployments')
        .values({ ...row, created_at: createdAt })
        .execute(),
    );
  }

  async byTask(task: string): Promise<Deployment | undefined> {
    const row = await this.#db.selectFrom('deployments').selectAll().where('task', '=', task).executeTakeFirst();
    return row === undefined ? undefined : toDeployment(row);
  }

  /** The tasks that deploy this release and have not ended, oldest first. */
  async openTasks(release: string): Promise<string[]> {
    const rows = await this.#db
      .selectFrom('deployments')
      .innerJoin('tasks', 'tasks.id', 'deployments.task')
      .select('tasks.id')
      .where('deployments.release', '=', release)
      .where('tasks.ended_at', 'is', null)
      .orderBy('deployments.created_at')
      .orderBy('deployments.id')
      .execute();
    return rows.map(({ id }) => id);
  }

  /** Newest first. */
  async list(filter: DeploymentFilter, page: PageRequest): Promise<Page<Deployment>> {
    let query = this.#db.selectFrom('deployments').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc');
    if (filter.project !== undefined) query = query.where('project', '=', filter.project);
    if (filter.environment !== undefined) query = query.where('environment', '=', filter.environment);
    if (page.cursor !== undefined) {
      const [at, id] = decodeCursor(page.cursor, ['number', 'string']) as [number, string];
      query = query.where((eb) => eb(eb.refTuple('created_at', 'id'), '<', eb.tuple(at, id)));
    }
    const rows = await query.limit(page.limit + 1).execute();
    return toPage(rows, page.limit, (row) => [row.created_at, row.id], toDeployment);
  }
}

function toRelease(row: Selectable<Schema['releases']>): Release {
  return {
    id: row.id,
    project: row.project,
    version: row.version,
    versionKey: row.version_key,
    notes: row.notes,
    process: fromJson<ProcessStep[]>(row.process_json),
    packages: fromJson<PinnedPackage[]>(row.packages_json),
    variables: fromJson<Variable[]>(row.variables_json),
    createdAt: row.created_at,
  };
}

function toDeployment({ created_at, ...row }: Selectable<Schema['deployments']>): Deployment {
  return { ...row, createdAt: created_at };
}

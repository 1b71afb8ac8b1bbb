// Projects with their processes.
import type { Selectable } from 'kysely';
import type { WarmSetting } from '../../../contract/warm-setting.ts';
import type { ProcessStep } from './process.ts';
import type { Schema } from '../schema.ts';
import type { Executor, Page, PageRequest } from '../base.ts';
import { assertChanged, decodeCursor, found, fromJson, fromJsonOrNull, toPage, mapConstraintErrors } from '../base.ts';

export interface Project {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly process: readonly ProcessStep[];
  readonly warm: WarmSetting;
  readonly version: number;
  readonly createdAt: number;
}

export interface ProjectPatch {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly process?: readonly ProcessStep[] | undefined;
  readonly warm?: WarmSetting | undefined;
}

const NEVER: WarmSetting = { on: 'never' };

export class ProjectRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** ALREADY_EXISTS when the id is taken. */
  async insert(project: Omit<Project, 'version' | 'warm'>): Promise<Project> {
    const { id, name, description, process, createdAt } = project;
    await mapConstraintErrors(
      `project ${id}`,
      () =>
        this.#db
          .insertInto('projects')
          .values({ id, name, description, process_json: JSON.stringify(process), version: 1, created_at: createdAt })
          .execute(),
      { exists: { code: 'SHOW_EXISTING', arguments: { kind: 'project', id } } },
    );
    return { ...project, warm: NEVER, version: 1 };
  }

  async find(id: string): Promise<Project | undefined> {
    const row = await this.#db.selectFrom('projects').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? undefined : toProject(row);
  }

  async get(id: string): Promise<Project> {
    return found(await this.find(id), `project ${id}`, 'project');
  }

  /** By id. */
  async list(page: PageRequest): Promise<Page<Project>> {
    let query = this.#db.selectFrom('projects').selectAll().orderBy('id');
    if (page.cursor !== undefined) query = query.where('id', '>', String(decodeCursor(page.cursor, ['string'])[0]));
    const rows = await query.limit(page.limit + 1).execute();
    return toPage(rows, page.limit, (row) => [row.id], toProject);
  }

  /** PRECONDITION_FAILED unless it still has `version`. */
  async update(id: string, version: number, patch: ProjectPatch): Promise<Project> {
    const { numUpdatedRows } = await this.#db
      .updateTable('projects')
      .set({
        version: version + 1,
        ...(patch.name === undefined ? {} : { name: patch.name }),
        ...(patch.description === undefined ? {} : { description: patch.description }),
        ...(patch.warm === undefined ? {} : { warm_json: JSON.stringify(patch.warm) }),
        ...(patch.process === undefined ? {} : { process_json: JSON.stringify(patch.process) }),
      })
      .where('id', '=', id)
      .where('version', '=', version)
      .executeTakeFirst();
    assertChanged(numUpdatedRows, `project ${id}`);
    return this.get(id);
  }

  /** IN_USE while it has releases or variables. */
  async delete(id: string, version: number): Promise<void> {
    const { numDeletedRows } = await mapConstraintErrors(
      `project ${id}`,
      () => this.#db.deleteFrom('projects').where('id', '=', id).where('version', '=', version).executeTakeFirst(),
      { by: 'its releases or variables' },
    );
    assertChanged(numDeletedRows, `project ${id}`);
  }
}

function toProject({ process_json, warm_json, created_at, ...row }: Selectable<Schema['projects']>): Project {
  const process = fromJson<ProcessStep[]>(process_json);
  const warm = fromJsonOrNull<WarmSetting>(warm_json) ?? NEVER;
  return { ...row, process, warm, createdAt: created_at };
}

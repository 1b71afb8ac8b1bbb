// Installed releases: per machine and installation (project, environment, step) the current one and the previous one.
import type { Selectable } from 'kysely';
import type { Schema } from '../schema.ts';
import type { Executor } from '../base.ts';

/** What a package step has on a machine in one environment. */
export interface InstalledAt {
  readonly machine: string;
  readonly project: string;
  readonly environment: string;
  readonly step: string;
}

export interface InstalledRelease extends InstalledAt {
  readonly version: string;
  readonly sha256: string;
  readonly previousVersion: string | null;
  readonly previousSha256: string | null;
  readonly at: number;
}

export class InstalledRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async find({ machine, project, environment, step }: InstalledAt): Promise<InstalledRelease | undefined> {
    const row = await this.#db
      .selectFrom('installed_releases')
      .selectAll()
      .where('machine', '=', machine)
      .where('project', '=', project)
      .where('environment', '=', environment)
      .where('step', '=', step)
      .executeTakeFirst();
    return row === undefined ? undefined : toInstalled(row);
  }

  /** Records an activation: the current release becomes the previous one. The same digest again only sets the time. */
  async activated(entry: InstalledAt & Pick<InstalledRelease, 'version' | 'sha256' | 'at'>): Promise<void> {
    const before = await this.find(entry);
    const again = before?.sha256 === entry.sha256;
    const previous = {
      previous_version: (again ? before.previousVersion : before?.version) ?? null,
      previous_sha256: (again ? before.previousSha256 : before?.sha256) ?? null,
    };
    await this.#db
      .insertInto('installed_releases')
      .values({ ...entry, ...previous })
      .onConflict((conflict) =>
        conflict
          .columns(['machine', 'project', 'environment', 'step'])
          .doUpdateSet({ version: entry.version, sha256: entry.sha256, at: entry.at, ...previous }),
      )
      .execute();
  }

  /** Deletes what was recorded for a machine up to `before`. */
  async removeOf(machine: string, before: number): Promise<void> {
    await this.#db.deleteFrom('installed_releases').where('machine', '=', machine).where('at', '<=', before).execute();
  }
}

function toInstalled(row: Selectable<Schema['installed_releases']>): InstalledRelease {
  return {
    machine: row.machine,
    project: row.project,
    environment: row.environment,
    step: row.step,
    version: row.version,
    sha256: row.sha256,
    previousVersion: row.previous_version,
    previousSha256: row.previous_sha256,
    at: row.at,
  };
}

// Installed releases: per machine and installation (project, environment, step) the current one, and whether its step has
// succeeded.
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
  readonly activatedAt: number;
  /** Null until its step has succeeded. */
  readonly succeededAt: number | null;
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

  /** Records an activation. */
  async activated({ activatedAt, ...release }: Omit<InstalledRelease, 'succeededAt'>): Promise<void> {
    const { version, sha256 } = release;
    await this.#db
      .insertInto('installed_releases')
      .values({ ...release, activated_at: activatedAt, succeeded_at: null })
      .onConflict((conflict) =>
        conflict
          .columns(['machine', 'project', 'environment', 'step'])
          .doUpdateSet({ version, sha256, activated_at: activatedAt, succeeded_at: null }),
      )
      .execute();
  }

  /** Records that the step of the current release has succeeded. */
  async succeeded({ machine, project, environment, step }: InstalledAt, at: number): Promise<void> {
    await this.#db
      .updateTable('installed_releases')
      .set({ succeeded_at: at })
      .where('machine', '=', machine)
      .where('project', '=', project)
      .where('environment', '=', environment)
      .where('step', '=', step)
      .execute();
  }

  /** Deletes what was recorded for a machine up to `before`. */
  async removeOf(machine: string, before: number): Promise<void> {
    await this.#db
      .deleteFrom('installed_releases')
      .where('machine', '=', machine)
      .where('activated_at', '<=', before)
      .execute();
  }
}

function toInstalled({
  activated_at: activatedAt,
  succeeded_at: succeededAt,
  ...row
}: Selectable<Schema['installed_releases']>): InstalledRelease {
  return { ...row, activatedAt, succeededAt };
}

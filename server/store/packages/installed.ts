// Installed releases: per machine and installation (project, environment, step) the current one, whether its step has
// succeeded, and the one before that succeeded.
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
  /** The id of the release. */
  readonly release: string;
  /** The one before that succeeded. */
  readonly previousRelease: string | null;
  /** Of the package. */
  readonly version: string;
  readonly sha256: string;
  readonly activatedAt: number;
  /** Null until its step has succeeded. */
  readonly succeededAt: number | null;
}

/** A machine of an environment that has a release. */
export interface ReleaseHolder {
  readonly machine: string;
  readonly environment: string;
  /** False: it is the one before the current one. */
  readonly current: boolean;
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
  async activated({ activatedAt, ...given }: Omit<InstalledRelease, 'previousRelease' | 'succeededAt'>): Promise<void> {
    const before = await this.find(given);
    const previous = before === undefined ? null : previousAfter(before, given.release);
    const { release, version, sha256 } = given;
    const state = {
      release,
      previous_release: previous,
      version,
      sha256,
      activated_at: activatedAt,
      succeeded_at: null,
    };
    await this.#db
      .insertInto('installed_releases')
      .values({ ...given, ...state })
      .onConflict((conflict) => conflict.columns(['machine', 'project', 'environment', 'step']).doUpdateSet(state))
      .execute();
  }

  /** The machines that have a release and are still in the environment that it was deployed to. */
  async holdersOf(release: string): Promise<ReleaseHolder[]> {
    const rows = await this.#db
      .selectFrom('installed_releases as installed')
      .innerJoin('machine_environments as assigned', (join) =>
        join
          .onRef('assigned.machine', '=', 'installed.machine')
          .onRef('assigned.environment', '=', 'installed.environment'),
      )
      .select(['installed.machine', 'installed.environment', 'installed.release'])
      .where((eb) => eb.or([eb('installed.release', '=', release), eb('installed.previous_release', '=', release)]))
      .orderBy('installed.machine')
      .orderBy('installed.environment')
      .execute();
    return rows.map(({ release: current, ...row }) => ({ ...row, current: current === release }));
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

/** The previous release once `release` is the current one: only one that succeeded becomes it. */
function previousAfter(before: InstalledRelease, release: string): string | null {
  const replaced = before.succeededAt !== null && before.release !== release;
  return replaced ? before.release : before.previousRelease;
}

function toInstalled({
  previous_release: previousRelease,
  activated_at: activatedAt,
  succeeded_at: succeededAt,
  ...row
}: Selectable<Schema['installed_releases']>): InstalledRelease {
  return { ...row, previousRelease, activatedAt, succeededAt };
}

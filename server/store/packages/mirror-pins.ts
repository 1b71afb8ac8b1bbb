// What people pinned at mirrors, and what each machine has and is about to get: all that caches must keep.
import type { Executor } from '../base.ts';

/** A version of a package that a mirror must keep. */
export interface MirrorPin {
  readonly mirror: string;
  readonly idKey: string;
  readonly versionKey: string;
}

/** Bytes that a machine has now, and those that it had before. */
export interface InstalledBytes {
  readonly machine: string;
  readonly sha256: string;
  readonly previousSha256: string | null;
}

/** Bytes that an open deployment needs at a machine. */
export interface NeededBytes extends Pick<InstalledBytes, 'machine' | 'sha256'> {
  readonly task: string;
}

export class MirrorPinRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Whether there was none yet. */
  async add({ mirror, idKey, versionKey }: MirrorPin): Promise<boolean> {
    const { numInsertedOrUpdatedRows } = await this.#db
      .insertInto('mirror_pins')
      .values({ mirror, id_key: idKey, version_key: versionKey })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst();
    return (numInsertedOrUpdatedRows ?? 0n) > 0n;
  }

  /** Whether there was one. */
  async remove({ mirror, idKey, versionKey }: MirrorPin): Promise<boolean> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('mirror_pins')
      .where('mirror', '=', mirror)
      .where('id_key', '=', idKey)
      .where('version_key', '=', versionKey)
      .executeTakeFirst();
    return numDeletedRows > 0n;
  }

  /** The mirrors at which somebody pinned a version. */
  async mirrorsOf({ idKey, versionKey }: Omit<MirrorPin, 'mirror'>): Promise<string[]> {
    const rows = await this.#db
      .selectFrom('mirror_pins')
      .select('mirror')
      .where('id_key', '=', idKey)
      .where('version_key', '=', versionKey)
      .orderBy('mirror')
      .execute();
    return rows.map(({ mirror }) => mirror);
  }

  /** The bytes that people pinned, by mirror. */
  async pinned(): Promise<{ readonly mirror: string; readonly sha256: string }[]> {
    return this.#db
      .selectFrom('mirror_pins as pin')
      .innerJoin('packages', (join) =>
        join.onRef('packages.id_key', '=', 'pin.id_key').onRef('packages.version_key', '=', 'pin.version_key'),
      )
      .select(['pin.mirror', 'packages.sha256'])
      .orderBy('pin.mirror')
      .orderBy('packages.sha256')
      .execute();
  }

  /** What each machine has in the environments that it is in, and what it had before. */
  async installed(): Promise<InstalledBytes[]> {
    return this.#db
      .selectFrom('installed_releases as installed')
      .innerJoin('machine_environments as assigned', (join) =>
        join
          .onRef('assigned.machine', '=', 'installed.machine')
          .onRef('assigned.environment', '=', 'installed.environment'),
      )
      .leftJoin('release_packages as pin', (join) =>
        join.onRef('pin.release', '=', 'installed.previous_release').onRef('pin.step', '=', 'installed.step'),
      )
      .leftJoin('packages', (join) =>
        join.onRef('packages.id_key', '=', 'pin.id_key').onRef('packages.version_key', '=', 'pin.version_key'),
      )
      .select(['installed.machine', 'installed.sha256', 'packages.sha256 as previousSha256'])
      .execute();
  }

  /** What the open deployments need at the machines of their environments. */
  async needed(): Promise<NeededBytes[]> {
    return this.#db
      .selectFrom('deployments')
      .innerJoin('tasks', 'tasks.id', 'deployments.task')
      .innerJoin('release_packages as pin', 'pin.release', 'deployments.release')
      .innerJoin('packages', (join) =>
        join.onRef('packages.id_key', '=', 'pin.id_key').onRef('packages.version_key', '=', 'pin.version_key'),
      )
      .innerJoin('machine_environments as assigned', 'assigned.environment', 'deployments.environment')
      .select(['assigned.machine', 'packages.sha256', 'tasks.id as task'])
      .distinct()
      .where('tasks.ended_at', 'is', null)
      .execute();
  }
}

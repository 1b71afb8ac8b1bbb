// Activates the release that a task has staged. Every step is idempotent: after a crash between two steps, or a lost
// answer, the same order completes the switch.
import { IsthmusError } from '../../contract/errors.ts';
import { installationName } from '../installation.ts';
import type { PackageOrder } from './payload.ts';
import type { Releases } from './releases.ts';

/**
 * Switches to the task's release, once `install` has succeeded with it; returns its name. PACKAGE_NOT_STAGED when the
 * task has staged none, or another package.
 */
export async function activateRelease(
  releases: Releases,
  order: PackageOrder,
  task: string,
  install: (release: string) => Promise<void>,
): Promise<string> {
  const release = await releases.ofTask(task);
  const record = release === undefined ? undefined : await releases.record(release);
  if (release === undefined || record?.sha256 !== order.sha256 || record.version !== order.version) {
    throw notStaged(order);
  }
  if (!(await releases.isActivated(release)) && !(await releases.isStaged(release))) throw notStaged(order);
  await releases.prepare();
  await releases.moveToFinalName(release);
  await install(release);
  const current = await releases.linked('current');
  if (current !== release) {
    // Whatever became of the present current release: the one before is the last that succeeded.
    const [last] = (await releases.succeeded()).filter((name) => name !== release);
    // `previous` first: after a crash here, a retry still finds the same current release.
    await releases.link('previous', last);
    await releases.link('current', release);
  }
  return release;
}

function notStaged({ id, version, installation }: PackageOrder): IsthmusError {
  return new IsthmusError(
    'PACKAGE_NOT_STAGED',
    `this task has not staged ${id} ${version} for ${installationName(installation)}`,
  );
}

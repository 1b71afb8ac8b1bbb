// Switches an application to its staged release. Every step may be done again: a crash between two of them, or an
// answer that was lost, is mended by the same order. Older releases are the caller's to clear away.
import { IsthmusError } from '../../contract/errors.ts';
import type { PackageOrder } from './payload.ts';
import type { Releases } from './releases.ts';

/** Switches to the staged release; answers its name. PACKAGE_NOT_STAGED when what is staged is not this package. */
export async function activateRelease(releases: Releases, order: PackageOrder): Promise<string> {
  const release = (await releases.staged())?.release;
  const record = release === undefined ? undefined : await releases.record(release);
  if (release === undefined || record?.sha256 !== order.sha256 || record.version !== order.version) {
    throw notStaged(order);
  }
  if (!(await releases.isActivated(release)) && !(await releases.isStaged(release))) throw notStaged(order);
  await releases.prepare();
  await releases.settle(release);
  const current = await releases.linked('current');
  if (current !== release) {
    // First: after a crash here the same switch finds the same current release again.
    if (current !== undefined) await releases.link('previous', current);
    await releases.link('current', release);
  }
  return release;
}

function notStaged({ id, version, application }: PackageOrder): IsthmusError {
  return new IsthmusError('PACKAGE_NOT_STAGED', `${id} ${version} is not staged for ${application}`);
}

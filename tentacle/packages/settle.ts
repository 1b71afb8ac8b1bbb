// Settles what a step has done. After a success the release counts among those that are kept, and `previous` is the last
// one that succeeded with another package: the same package again changes nothing about what is kept.
import { IsthmusError } from '../../contract/errors.ts';
import { installationName } from '../installation.ts';
import type { PackageOrder } from './payload.ts';
import type { Releases } from './releases.ts';

/** Switches back to the last release that succeeded, if the one of the task is current; returns that one's name. */
export async function revertRelease(releases: Releases, task: string): Promise<string | undefined> {
  const release = await releases.ofTask(task);
  if (release === undefined) return undefined;
  await releases.prepare();
  if ((await releases.linked('current')) === release) {
    const [last, before] = await releases.succeeded();
    await releases.link('previous', before);
    await releases.link('current', last);
  }
  return release;
}

/** Keeps the task's release; returns its name. APPLICATION_MISSING when the task has activated none. Idempotent. */
export async function settleRelease(releases: Releases, order: PackageOrder, task: string): Promise<string> {
  const release = await releases.ofTask(task);
  if (release === undefined || !(await releases.isActivated(release))) {
    const name = installationName(order.installation);
    throw new IsthmusError('APPLICATION_MISSING', `this task has no activated release of ${name} here`);
  }
  await releases.prepare();
  await releases.markSucceeded(release);
  const [, before] = await releases.succeeded();
  await releases.link('previous', before);
  return release;
}

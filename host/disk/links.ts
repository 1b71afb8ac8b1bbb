// The links between versions. Each is changed by one rename: at any moment it leads to the old version or to the new.
import { randomBytes } from 'node:crypto';
import { mkdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { IsthmusError } from '../../contract/errors.ts';
import { errnoOf } from '../../lib/files/disk-space.ts';
import { syncFolder } from '../../lib/files/durable.ts';
import type { HostLayout } from '../layout.ts';

/** The version that a link such as `current` leads to; undefined when there is no such link. */
export async function linkedVersion(link: string): Promise<string | undefined> {
  const target = await targetOf(link);
  return target === undefined ? undefined : basename(target);
}

/** Makes `link` lead to `target`, durably, whether it was there or not. */
export async function setLink(link: string, target: string): Promise<void> {
  if ((await targetOf(link)) === target) return;
  const temporary = join(dirname(link), `.${basename(link)}.${randomBytes(6).toString('hex')}`);
  try {
    await symlink(target, temporary);
    await rename(temporary, link);
  } finally {
    await rm(temporary, { force: true });
  }
  syncFolder(dirname(link));
}

/**
 * Puts the command on everybody's path, as a link to that of the current version. FILE_UNUSABLE when something else has
 * its name: it may be another installation.
 */
export async function linkCommand(layout: HostLayout): Promise<void> {
  await checkCommand(layout);
  await mkdir(dirname(layout.command), { recursive: true });
  await setLink(layout.command, commandTarget(layout));
}

/** FILE_UNUSABLE when the name of the command belongs to something else. */
export async function checkCommand(layout: HostLayout): Promise<void> {
  const found = await targetOf(layout.command);
  if (found === undefined || found === commandTarget(layout)) return;
  throw new IsthmusError('FILE_UNUSABLE', `${layout.command} is there already, and is not of this installation`, {
    remedy: 'Move it away, or remove what it belongs to, then install again.',
  });
}

/** Takes the command away, where it is ours. */
export async function unlinkCommand(layout: HostLayout): Promise<void> {
  if ((await targetOf(layout.command)) === commandTarget(layout)) await rm(layout.command);
}

function commandTarget({ command, current }: HostLayout): string {
  return join(relative(dirname(command), current), 'bin/isthmus');
}

/** Where a link leads to, the empty text for anything else, undefined for nothing. */
async function targetOf(link: string): Promise<string | undefined> {
  try {
    return await readlink(link);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    if (errnoOf(thrown) === 'EINVAL') return '';
    throw thrown;
  }
}

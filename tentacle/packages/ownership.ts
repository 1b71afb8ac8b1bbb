// Who owns the files of a release, and who may read them: as the step says, else the account that scripts run as, with
// the modes of the package.
import { chmod, lchown, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path/posix';
import { IsthmusError } from '../../contract/errors.ts';
import { findGroup, findUser } from '../../lib/accounts.ts';
import { withReadable } from './readable.ts';

/** The owner of unpacked files when scripts run as another user. */
export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

/** What a step says of its files; absent: as unpacked. */
export interface FileRules {
  readonly owner?: string;
  readonly group?: string;
  readonly fileMode?: number;
  readonly folderMode?: number;
}

const NO_ACCOUNT = 'this machine has no such account';

/** The owner for the files of an order; undefined when they stay the agent's. */
export async function ownerOf(
  { owner, group }: FileRules,
  scripts: FileOwner | undefined,
): Promise<FileOwner | undefined> {
  if (owner === undefined && group === undefined) return scripts;
  const user = owner === undefined ? undefined : await findUser(owner);
  if (owner !== undefined && user === undefined) throw unknown('owner', owner);
  const gid = group === undefined ? undefined : await findGroup(group);
  if (group !== undefined && gid === undefined) throw unknown('group', group);
  const agent = { uid: process.geteuid!(), gid: process.getegid!() };
  const found = { uid: (user ?? scripts ?? agent).uid, gid: gid ?? (user ?? scripts ?? agent).gid };
  if (agent.uid === 0) return found;
  const isOwn = found.uid === agent.uid && [agent.gid, ...process.getgroups!()].includes(found.gid);
  if (isOwn) return found;
  const wanted = [owner, group].filter((name) => name !== undefined).join(':');
  throw new IsthmusError('OWNER_NEEDS_ROOT', `the tentacle cannot give files to ${wanted}`, {
    field: owner === undefined ? 'group' : 'owner',
  });
}

/** The most that may be allowed on a file that took in a secret. */
export function secretMask({ group }: FileRules): number {
  return group === undefined ? 0o700 : 0o750;
}

/**
 * Gives what is below `root` its owner and modes, and `root` its owner; returns the mode for `root`. Must run
 * while nobody else can reach the folder: otherwise an entry could be replaced by a link, and a file elsewhere be given
 * away.
 */
export async function applyOwnership(
  root: string,
  rules: FileRules,
  owner: FileOwner | undefined,
  isSecret: (name: string) => boolean,
): Promise<number> {
  const rootMode = rules.folderMode ?? 0o755;
  if (owner === undefined && rules.fileMode === undefined && rules.folderMode === undefined) return rootMode;
  await applyBelow(root, '', { rules, owner, isSecret });
  if (owner !== undefined) await lchown(root, owner.uid, owner.gid);
  return rootMode;
}

interface Applied {
  readonly rules: FileRules;
  readonly owner: FileOwner | undefined;
  readonly isSecret: (name: string) => boolean;
}

/** What is in a folder comes before it: it may become one that the agent itself cannot pass. */
async function applyBelow(folder: string, name: string, applied: Applied): Promise<void> {
  const { rules, owner, isSecret } = applied;
  await withReadable(folder, async () => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      const below = join(name, entry.name);
      if (entry.isDirectory()) await applyBelow(path, below, applied);
      if (owner !== undefined) await lchown(path, owner.uid, owner.gid);
      if (entry.isDirectory() && rules.folderMode !== undefined) await chmod(path, rules.folderMode);
      if (!entry.isFile() || rules.fileMode === undefined) continue;
      const mode = fileModeOf((await stat(path)).mode, rules.fileMode);
      await chmod(path, isSecret(below) ? mode & secretMask(rules) : mode);
    }
  });
}

/** A program stays one: whoever may read it may execute it. */
function fileModeOf(before: number, mode: number): number {
  return (before & 0o100) === 0 ? mode : mode | ((mode & 0o444) >> 2);
}

function unknown(field: string, name: string): IsthmusError {
  return new IsthmusError('ACCOUNT_UNKNOWN', `${NO_ACCOUNT}: ${field} ${name}`, { field });
}

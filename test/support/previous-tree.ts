// The source tree of the wire version before this one, out of the repository's own history: nodes of it are real.
import { spawnSync } from 'node:child_process';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { WIRE_VERSIONS } from '../../mesh/wire-version.ts';

const root = join(import.meta.dirname, '../..');
const maxTreeBytes = 256 * 1024 * 1024;

/** The commit that the present wire version was built on; undefined where the history does not reach so far. */
export function lastCommitBeforeThisWire(): string | undefined {
  const introduced = `newest: ${WIRE_VERSIONS.newest} }`;
  const commits = git('log', '--reverse', '--format=%H', `-S${introduced}`, '--', 'mesh/wire-version.ts');
  const first = commits?.toString().split('\n', 1)[0] ?? '';
  return first === '' ? undefined : git('rev-parse', '--verify', '--quiet', `${first}^`)?.toString().trim();
}

/** Unpacks that tree into an empty folder, with this one's packages. */
export async function unpackPreviousTree(tree: string): Promise<void> {
  const commit = lastCommitBeforeThisWire();
  const archive = commit === undefined ? undefined : git('archive', '--format=tar', commit);
  if (archive === undefined) throw new Error('the history of this repository does not reach the wire version before');
  const { status, stderr } = spawnSync('tar', ['-x', '-C', tree], { input: archive });
  if (status !== 0) throw new Error(`the tree was not unpacked: ${stderr.toString()}`);
  await symlink(join(root, 'node_modules'), join(tree, 'node_modules'));
}

function git(...words: string[]): Buffer | undefined {
  const { status, stdout } = spawnSync('git', words, { cwd: root, maxBuffer: maxTreeBytes });
  return status === 0 ? stdout : undefined;
}

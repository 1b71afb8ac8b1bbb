// Builds the version before this one from its commit, so that tests run both against each other: a copy of its tree
// with what it depends on, kept in out/. usage: node build/previous-version.ts, which prints the folder
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/**
 * The version that nodes and data folders in the field have. It moves on by hand when a version is given out; what this
 * tree changes on the wire or in the database has to work with it.
 */
export const PREVIOUS_COMMIT = '789a837397d143d8e26fdf5dc6612081e4daaf12';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');

/**
 * The folder of the previous version, ready to run (`bin/isthmus`, `cli/main.ts`). The first call for a commit copies
 * its tree out of the history, and installs its dependencies where they are not those of this tree.
 */
export async function previousVersion(): Promise<string> {
  const parent = join(root, 'out/previous-version');
  const folder = join(parent, PREVIOUS_COMMIT);
  if (existsSync(folder)) return folder;
  await mkdir(parent, { recursive: true });
  const incoming = await mkdtemp(join(parent, 'incoming-'));
  await copyTree(PREVIOUS_COMMIT, incoming);
  const locks = [root, incoming].map((tree) => readFile(join(tree, 'package-lock.json'), 'utf8'));
  const [here, there] = await Promise.all(locks);
  if (here === there) await symlink(join(root, 'node_modules'), join(incoming, 'node_modules'));
  else await run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: incoming });
  // Two tests may have built it at once; the first one counts.
  await rename(incoming, folder).catch(() => rm(incoming, { recursive: true }));
  return folder;
}

async function copyTree(commit: string, folder: string): Promise<void> {
  const archive = join(folder, '.tree.tar');
  await run('git', ['archive', `--output=${archive}`, commit], { cwd: root });
  await run('tar', ['-x', '-f', archive, '-C', folder]);
  await rm(archive);
}

if (import.meta.main) process.stdout.write(`${await previousVersion()}\n`);

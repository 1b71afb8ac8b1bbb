// What a data folder must be before anything in it is believed: its owner's alone to change, without links that lead
// elsewhere, its keys for the owner's eyes only. Whoever can change a folder can put a link where a file is expected,
// and so have anything on the machine read, emptied or deleted.
import {
  closeSync,
  constants,
  fstatSync,
  globSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { dirname, join } from 'node:path';
import { IsthmusError, type RemedyAction } from '../../contract/errors.ts';
import { ownAccount, type OwnAccount } from '../own-account.ts';
import { errnoOf } from './disk-space.ts';
import { unusable } from './folder.ts';

/** The operator's own file: it may be a link, as in a mounted configuration. */
const SETTINGS = 'config.yaml';

const WRITE_BY_OTHERS = 0o022;
const WRITE_BY_ALL = 0o002;
/** In a folder with this bit, only the owner of an entry can replace it. */
const STICKY = 0o1000;
const ALL_BY_OTHERS = 0o077;
/** Of a key that a group shares, such as `ssl-cert`. */
const UNSHARED = 0o027;

/** What `chmod` needs to take these bits away. */
const MENDED = {
  [WRITE_BY_OTHERS]: 'go-w',
  [WRITE_BY_ALL]: 'o-w',
  [ALL_BY_OTHERS]: '600',
  [UNSHARED]: 'g-w,o=',
} as const;

type Forbidden = keyof typeof MENDED;

export interface DataDirCheck {
  /**
   * The program's own entries that lie deeper, as patterns below the data folder, each after those above it. All that
   * they do not name belongs to scripts and packages.
   */
  readonly deeper?: readonly string[] | undefined;
}

/**
 * Throws PERMISSIONS_UNSAFE when others can change the data folder, what this program keeps in it, or a folder above
 * it, when they can read one of the `secrets` (paths below the folder), or when a link is where a file or a folder of
 * this program should be. Opens no file. What does not exist passes.
 */
export function checkDataDir(dataDir: string, secrets: readonly string[] = [], check: DataDirCheck = {}): void {
  try {
    const folder = unlessGone(() => realpathSync(dataDir));
    if (folder === undefined) return;
    checkAbove(folder);
    checkFolder(folder, new Set(secrets.map((name) => join(folder, name))), check);
  } catch (thrown) {
    throw unusable(dataDir, thrown);
  }
}

/** Whoever can rename a folder can put another in its place. */
function checkAbove(folder: string): void {
  const above = dirname(folder);
  if (above === folder) return;
  const { mode } = lstatSync(above);
  if ((mode & STICKY) === 0) checkMode(above, mode, WRITE_BY_ALL);
  checkAbove(above);
}

function checkFolder(folder: string, secrets: ReadonlySet<string>, { deeper = [] }: DataDirCheck): void {
  const owner = ownAccount();
  checkOwn(folder, lstatSync(folder), WRITE_BY_OTHERS, owner);
  const check = (path: string, stats: Stats): void => {
    checkOwn(path, stats, secrets.has(path) && !stats.isDirectory() ? ALL_BY_OTHERS : WRITE_BY_OTHERS, owner);
  };
  for (const name of readdirSync(folder)) {
    if (name === SETTINGS) checkSettings(join(folder, name), owner);
    else checkEntry(join(folder, name), check);
  }
  for (const pattern of deeper) {
    for (const name of globSync(pattern, { cwd: folder })) checkDeeper(join(folder, name), owner);
  }
}

/** Nothing there is written in place, so it may have several names, as a package has during a backup. */
function checkDeeper(path: string, owner: OwnAccount): void {
  const found = unlessGone(() => lstatSync(path));
  if (found === undefined) return;
  if (found.isSymbolicLink()) throw isLink(path);
  checkAccess(path, found, WRITE_BY_OTHERS, owner);
}

/** One entry of the data folder and, where it is a folder, the files in it. */
function checkEntry(path: string, check: (path: string, stats: Stats) => void): void {
  const entry = unlessGone(() => lstatSync(path));
  if (entry === undefined) return;
  check(path, entry);
  if (!entry.isDirectory()) return;
  for (const name of readdirSync(path)) {
    const below = join(path, name);
    const stats = unlessGone(() => lstatSync(below));
    if (stats !== undefined && !stats.isDirectory()) check(below, stats);
  }
}

function checkSettings(path: string, owner: OwnAccount): void {
  // Through a link; the link itself is in a folder that only its owner changes.
  const file = unlessGone(() => lstatSync(realpathSync(path)));
  if (file !== undefined) checkAccess(path, file, WRITE_BY_OTHERS, owner);
}

function checkOwn(path: string, stats: Stats, forbidden: Forbidden, owner?: OwnAccount): void {
  checkKind(path, stats);
  checkAccess(path, stats, forbidden, owner);
}

/**
 * Reads a file that holds a secret. PERMISSIONS_UNSAFE when it is a link, no plain file, another user's, or open to
 * others. `shared` is for files outside the data folder: they may be links, and their group may read them.
 */
export function readSecret(path: string, { shared = false }: { readonly shared?: boolean } = {}): Buffer {
  const file = shared ? openSync(path, constants.O_RDONLY | constants.O_NONBLOCK) : openOwn(path, constants.O_RDONLY);
  try {
    const stats = fstatSync(file);
    // A folder is no secret, and fails to be read.
    if (stats.isDirectory()) checkAccess(path, stats, WRITE_BY_OTHERS);
    else if (shared) checkAccess(path, stats, UNSHARED);
    else checkOwn(path, stats, ALL_BY_OTHERS);
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

/** As `readSecret` for a file outside the data folder, which the caller reads. What does not exist passes. */
export function checkSecret(path: string): void {
  const file = unlessGone(() => statSync(path));
  if (file !== undefined) checkAccess(path, file, UNSHARED);
}

function checkKind(path: string, stats: Stats): void {
  if (stats.isSymbolicLink()) throw isLink(path);
  if (stats.isDirectory() || stats.isSocket()) return;
  if (!stats.isFile()) throw unsafe(`${path} is neither a file nor a folder`);
  if (stats.nlink > 1) throw unsafe(`${path} is a file with ${stats.nlink} names (hard links)`);
}

function isLink(path: string): IsthmusError {
  return unsafe(`${path} is a symbolic link`);
}

function checkAccess(path: string, { uid, mode }: Stats, forbidden: Forbidden, owner: OwnAccount = ownAccount()): void {
  if (uid !== owner.uid && uid !== 0) {
    const action = { code: 'SET_OWNER', arguments: { path, owner: owner.name } } as const;
    throw unsafe(`${path} belongs to another user (${uid}), not to ${owner.name}`, action);
  }
  checkMode(path, mode, forbidden);
}

function checkMode(path: string, mode: number, forbidden: Forbidden): void {
  if ((mode & forbidden) === 0) return;
  const what = forbidden === WRITE_BY_OTHERS || forbidden === WRITE_BY_ALL ? 'change' : 'use';
  const octal = (mode & 0o777).toString(8).padStart(4, '0');
  throw unsafe(`${path} has mode ${octal}: others can ${what} it`, {
    code: 'SET_MODE',
    arguments: { path, mode: MENDED[forbidden] },
  });
}

function unsafe(message: string, action?: RemedyAction): IsthmusError {
  return new IsthmusError('PERMISSIONS_UNSAFE', message, action === undefined ? {} : { action });
}

function unlessGone<Result>(look: () => Result): Result | undefined {
  try {
    return look();
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** Creates an empty file for its owner alone; an existing one stays as it is, and is not opened. */
export function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, 'ax', 0o600));
  } catch (thrown) {
    if (errnoOf(thrown) !== 'EEXIST') throw thrown;
  }
}

/**
 * Opens a plain file of this program's own, never through a link; created files are for their owner alone.
 * PERMISSIONS_UNSAFE for a link or anything else in its place.
 */
export function openOwn(path: string, flags: number): number {
  let file: number;
  try {
    // A pipe without a writer would never open.
    file = openSync(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o600);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ELOOP') throw isLink(path);
    throw thrown;
  }
  try {
    checkKind(path, fstatSync(file));
    return file;
  } catch (thrown) {
    closeSync(file);
    throw thrown;
  }
}

/** Creates a folder of this program's own (0700) unless it exists. PERMISSIONS_UNSAFE for a link in its place. */
export function ownFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  assertNoLink(path);
}

/** PERMISSIONS_UNSAFE for a link in the place of a folder of this program's own. What does not exist passes. */
export function assertNoLink(path: string): void {
  if (unlessGone(() => lstatSync(path))?.isSymbolicLink() === true) throw isLink(path);
}

// Backup and restore: a server's whole state (database, packages, authority, master key, identity, settings) in one
// encrypted file, with a manifest of digests that restore checks before it puts anything in place.
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { cp, link, lstat, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { create, extract } from 'tar';
import { parseDocument } from 'yaml';
import { resolveConfig } from '../../lib/config/resolve.ts';
import { asOwnerOf } from '../../lib/files/as-owner.ts';
import { lockDataDir, LOCK_FILES } from '../../lib/files/data-lock.ts';
import { errnoOf } from '../../lib/files/disk-space.ts';
import { syncFolder } from '../../lib/files/durable.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { openMasterKey } from '../../lib/secrets/seal.ts';
import { decodeText, firstLine } from '../../lib/text/read-text.ts';
import { SOFTWARE_VERSION } from '../../lib/version.ts';
import { decryptStream, encryptStream } from './backup-cipher.ts';
import { serverConfigSchema } from '../config.ts';
import { checkServerFolder } from '../data-folder.ts';
import { clearBackups } from './clean-up.ts';
import { fillFolder } from './initialise.ts';
import { copyDatabase } from './local-requests.ts';
import { DATABASE_FILE } from '../store/sqlite/open.ts';

const MANIFEST = 'manifest.json';
const ARCHIVE = '.restore.tar';
const SETTINGS = 'config.yaml';
const MASTER_KEY = 'master.key';

/** What a server needs from its data folder besides the database. */
const OTHER_FILES = ['master.check', 'authority', 'identity', 'revocations.bin', 'admin.key'];

/** Blobs never change, so they are linked, not copied. */
const BLOBS = join('packages', 'blobs');

interface RestoreOptions {
  readonly dataDir: string;
  readonly file: string;
  /** A file whose first line is the passphrase. */
  readonly passphraseFile: string;
}

interface BackupOptions extends RestoreOptions {
  /** Reads an environment variable; replaced only in tests. */
  readonly env?: (name: string) => string | undefined;
}

interface Manifest {
  readonly format: 1;
  readonly softwareVersion: string;
  readonly createdAt: number;
  readonly files: Readonly<Record<string, { readonly sha256: string; readonly sizeBytes: number }>>;
}

/**
 * Writes a backup (0600); never overwrites a file. A running server copies its database itself. Root reads the data
 * folder as the account that owns it.
 */
export async function backup({ dataDir, file, passphraseFile, env }: BackupOptions): Promise<void> {
  const passphrase = await readPassphrase(passphraseFile);
  if (existsSync(file)) {
    throw new IsthmusError('FILE_UNUSABLE', `${file} already exists`, {
      remedy: 'Give the backup another name; no file is overwritten.',
    });
  }
  const partial = `${file}.${randomBytes(6).toString('hex')}.partial`;
  const target = await open(partial, 'wx', 0o600);
  try {
    const write = (archive: AsyncIterable<Buffer>) =>
      pipeline(Readable.from(archive), encryptStream(passphrase), target.createWriteStream({ flush: true }));
    await asOwnerOf(dataDir, () => pack(dataDir, env, write));
    await rename(partial, file);
    syncFolder(dirname(file));
  } finally {
    await target.close();
    await rm(partial, { force: true });
  }
}

/** Has the archive of a backup written, while the files that it is made of are there. */
async function pack(
  dataDir: string,
  env: BackupOptions['env'],
  write: (archive: AsyncIterable<Buffer>) => Promise<void>,
): Promise<void> {
  checkServerFolder(dataDir);
  const id = randomBytes(6).toString('hex');
  // In the data folder: only there can blobs be hard-linked and the server write its copy.
  const staging = join(dataDir, `backup-${id}`);
  const copy = `backup-${id}.db`;
  await clearBackups(dataDir);
  mkdirSync(staging, { mode: 0o700 });
  const lock = lockDataDir(staging);
  try {
    // Blobs before the database and after it: a version that it has may be new since, or deleted since.
    await linkBlobs(join(dataDir, BLOBS), join(staging, BLOBS));
    await copyDatabase(dataDir, copy);
    await rename(join(dataDir, copy), join(staging, DATABASE_FILE));
    await copySettings(dataDir, staging, env);
    for (const name of OTHER_FILES) await copyIfPresent(join(dataDir, name), join(staging, name));
    await linkBlobs(join(dataDir, BLOBS), join(staging, BLOBS));
    const files = await listFiles(staging);
    const manifest: Manifest = {
      format: 1,
      softwareVersion: SOFTWARE_VERSION,
      createdAt: Date.now(),
      files: await digests(staging, files),
    };
    await writeFile(join(staging, MANIFEST), JSON.stringify(manifest), { mode: 0o600 });
    await write(create({ cwd: staging, portable: true }, [MANIFEST, ...files]));
  } finally {
    await rm(join(dataDir, copy), { force: true });
    await rm(staging, { recursive: true, force: true });
    lock.unlock();
  }
}

/** Creates a data folder from a backup. Throws BACKUP_INVALID, and creates nothing, unless every byte is intact. */
export async function restore({ dataDir, file, passphraseFile }: RestoreOptions): Promise<void> {
  const passphrase = await readPassphrase(passphraseFile);
  await fillFolder(dataDir, async (folder) => {
    try {
      // To a file first: nothing is unpacked before the whole backup is known to be intact.
      const archive = join(folder, ARCHIVE);
      await pipeline(createReadStream(file), decryptStream(passphrase), createWriteStream(archive, { mode: 0o600 }));
      await extract({
        file: archive,
        cwd: folder,
        strict: true,
        preserveOwner: false,
        dmode: 0o700,
        filter: (_path, entry) => isPlain(entry),
      });
      await rm(archive);
      await verify(folder);
    } catch (thrown) {
      if (thrown instanceof IsthmusError || (thrown instanceof Error && 'syscall' in thrown)) throw thrown;
      throw new IsthmusError('BACKUP_INVALID', `${file} is not a complete backup`, { cause: thrown });
    }
    await rm(join(folder, MANIFEST));
  });
}

function isPlain(entry: object): boolean {
  if (!('type' in entry)) return false;
  return entry.type === 'File' || entry.type === 'Directory';
}

/** As bytes: read as text, two passphrases that are not UTF-8 could be one. */
async function readPassphrase(file: string): Promise<Buffer> {
  const passphrase = firstLine(await readFile(file), file);
  if (passphrase.toString('utf8').length < 12) {
    throw new IsthmusError('INVALID_FIELD', 'the passphrase of a backup has at least 12 characters', {
      field: 'passphraseFile',
    });
  }
  return passphrase;
}

/**
 * Copies the settings, and the master key from the file that they name. A restored server has the key in its data
 * folder and settings that name no other file, which another machine need not have. A key that cannot be read, or that
 * does not belong to this data, fails the backup.
 */
async function copySettings(dataDir: string, staging: string, env: BackupOptions['env']): Promise<void> {
  const name = join(dataDir, SETTINGS);
  const text = (await lstat(name).catch(() => undefined)) ? decodeText(await readFile(name), name).text : undefined;
  const { masterKeyFile: keyFile } = resolveConfig(serverConfigSchema, {
    file: text === undefined ? undefined : { name, text },
    ...(env === undefined ? {} : { env }),
  });
  const key = readMasterKey({ dataDir, keyFile });
  await writeFile(join(staging, MASTER_KEY), key, { mode: 0o600, flag: 'wx' });
  if (text === undefined) return;
  const document = parseDocument(text);
  if (document.has('masterKeyFile')) document.delete('masterKeyFile');
  await writeFile(join(staging, SETTINGS), document.toString(), { mode: 0o600, flag: 'wx' });
}

function readMasterKey(location: { readonly dataDir: string; readonly keyFile: string | undefined }): string {
  const keyFile = location.keyFile ?? join(location.dataDir, MASTER_KEY);
  try {
    openMasterKey(location);
    return readFileSync(keyFile, 'utf8');
  } catch (thrown) {
    if (thrown instanceof IsthmusError) throw thrown;
    throw new IsthmusError('MASTER_KEY_MISSING', `the master key at ${keyFile} cannot be read`, { cause: thrown });
  }
}

async function copyIfPresent(from: string, to: string): Promise<void> {
  if (await lstat(from).catch(() => undefined)) await cp(from, to, { recursive: true, errorOnExist: true });
}

/** Links the blobs that have no link yet. */
async function linkBlobs(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  for (const prefix of await readdir(from).catch(() => [])) {
    await mkdir(join(to, prefix), { recursive: true, mode: 0o700 });
    for (const blob of await readdir(join(from, prefix))) {
      await link(join(from, prefix, blob), join(to, prefix, blob)).catch((thrown: unknown) => {
        // Linked before, or deleted just now.
        if (errnoOf(thrown) !== 'EEXIST' && errnoOf(thrown) !== 'ENOENT') throw thrown;
      });
    }
  }
}

/** Every file below a folder, named as in the archive, sorted. */
async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !LOCK_FILES.includes(entry.name));
  return files.map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll(sep, '/')).toSorted();
}

async function digests(folder: string, files: readonly string[]): Promise<Manifest['files']> {
  const found: Record<string, { sha256: string; sizeBytes: number }> = {};
  for (const file of files) {
    const hash = createHash('sha256');
    let sizeBytes = 0;
    for await (const chunk of createReadStream(join(folder, file))) {
      hash.update(chunk as Buffer);
      sizeBytes += (chunk as Buffer).length;
    }
    found[file] = { sha256: hash.digest('hex'), sizeBytes };
  }
  return found;
}

/** Throws BACKUP_INVALID unless the folder holds exactly what the manifest lists; syncs the files to disk. */
async function verify(folder: string): Promise<void> {
  const manifest = JSON.parse(await readFile(join(folder, MANIFEST), 'utf8')) as Manifest;
  const files = (await listFiles(folder)).filter((file) => file !== MANIFEST);
  const found = await digests(folder, files);
  const same = JSON.stringify(sorted(manifest.files)) === JSON.stringify(sorted(found));
  if (!same) throw new IsthmusError('BACKUP_INVALID', 'the backup does not match its manifest');
  for (const file of files) {
    const handle = await open(join(folder, file), 'r');
    await handle.sync().finally(() => handle.close());
  }
}

function sorted(files: Manifest['files']): unknown {
  return Object.entries(files)
    .map(([name, { sha256, sizeBytes }]) => [name, sha256, sizeBytes])
    .toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
}

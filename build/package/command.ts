// The command `npm run package`: builds everything that is carried to a machine, and signs it.
import { execFile } from 'node:child_process';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { keyFingerprint, signSums, SUMS_FILE } from '../../certs/release-keys.ts';
import { envVariable } from '../../lib/config/env.ts';
import { errnoOf } from '../../lib/files/disk-space.ts';
import { BuildError, FAILED } from './build-error.ts';
import { buildDebianPackage } from './debian.ts';
import { packTarball, sumsOf } from './files.ts';
import { buildImage } from './image.ts';
import { checkVersion, parseOptions, usage, type BuildOptions } from './options.ts';
import { createPartial, publish, PUBLIC_KEY_FILE, removePartial, SIGNATURE_FILE } from './out-folder.ts';
import { checkProgram } from './programs.ts';
import { createReleaseKey, readSigningKey } from './release-key.ts';
import { buildCommon, completeTree, type Build } from './tree.ts';

const INTERRUPTED = 130;

const repository = join(import.meta.dirname, '../..');

export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Aborted when the build is to stop. */
  readonly signal: AbortSignal;
}

/**
 * Runs a command line; resolves with its exit code: 2 when it, or what it names, cannot be used, 1 when the build failed,
 * 130 when it was stopped. Each is said in one line. Throws what is a fault of the build itself.
 */
export async function packageCommand(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    const order = parseOptions(args);
    if (order.kind === 'help') terminal.out(usage());
    else if (order.kind === 'new-key') await newKey(order.file, terminal);
    else await buildAll(order.options, terminal);
    return 0;
  } catch (thrown) {
    if (terminal.signal.aborted) {
      terminal.err('isthmus package: stopped; nothing was changed in the folder of --out');
      return INTERRUPTED;
    }
    if (thrown instanceof BuildError) {
      terminal.err(`isthmus package: ${thrown.message}`);
      return thrown.exitCode;
    }
    if (errnoOf(thrown)?.startsWith('E') !== true || !(thrown instanceof Error && 'syscall' in thrown)) throw thrown;
    terminal.err(`isthmus package: ${thrown.message}; see that the disk has room and these files are yours`);
    return FAILED;
  }
}

async function newKey(file: string, { out }: Terminal): Promise<void> {
  const fingerprint = await createReleaseKey(file);
  out(`${file}: a new release key, to be kept where nobody else reads it; fingerprint ${fingerprint}`);
}

async function buildAll(options: BuildOptions, terminal: Terminal): Promise<void> {
  const key = options.key === undefined ? undefined : await readSigningKey(options.key);
  const what = await describe(options, terminal.signal);
  if (options.deb) await checkProgram('dpkg-deb', '--deb');
  if (options.image) await checkProgram('buildah', '--image');
  const out = resolve(options.out);
  const partial = await createPartial(out).catch((cause: unknown) => {
    throw new BuildError(`${out} cannot be written (${errnoOf(cause)}); name another folder with --out`, undefined, {
      cause,
    });
  });
  try {
    if (partial.others.length > 0) {
      const others = partial.others.join(', ');
      throw new BuildError(`another build works in ${out} (process ${others}); wait for it, or name another --out`);
    }
    const built = await build(partial.folder, what, options);
    const sums = await sumsOf(partial.folder, built);
    await writeFile(join(partial.folder, SUMS_FILE), sums);
    if (key !== undefined) await sign(partial.folder, sums, key);
    what.signal?.throwIfAborted();
    report(out, await publish(partial.folder, out), sums, key, terminal);
  } finally {
    await removePartial(partial.folder);
  }
}

/** What is built: the version, and the commit and its time (https://reproducible-builds.org/specs/source-date-epoch/). */
async function describe(options: BuildOptions, signal: AbortSignal): Promise<Build> {
  const source = resolve(options.source ?? repository);
  const ownVersion = await versionOf(source);
  if (options.version === undefined) checkVersion(ownVersion, `package.json in ${source} needs`);
  const seconds = envVariable('SOURCE_DATE_EPOCH') ?? (await git(source, 'log', '-1', '--format=%ct')) ?? '0';
  if (!/^\d{1,12}$/.test(seconds)) {
    throw new BuildError(`SOURCE_DATE_EPOCH is "${seconds}"; it takes whole seconds since 1970, or leave it out`);
  }
  return {
    source,
    version: options.version ?? ownVersion,
    commit: (await git(source, 'describe', '--always', '--dirty', '--abbrev=40', '--exclude=*')) ?? null,
    time: new Date(Number(seconds) * 1000),
    signal,
  };
}

interface Manifest {
  readonly name?: string;
  readonly version?: string;
}

/** The version in package.json of a checkout. BuildError when it is none, or is not ready to be built. */
async function versionOf(source: string): Promise<string> {
  const manifest = await readFile(join(source, 'package.json'), 'utf8')
    .then((text) => JSON.parse(text) as Manifest)
    .catch((): Manifest => ({}));
  if (manifest.name !== 'isthmus') throw new BuildError(`${source} is no checkout of Isthmus; --source names one`);
  if (existsSync(join(source, 'node_modules'))) return manifest.version ?? '';
  throw new BuildError(`${source} has no node_modules; run npm ci there`);
}

async function git(source: string, ...args: readonly string[]): Promise<string | undefined> {
  const { stdout } = await promisify(execFile)('git', ['-C', source, ...args]).catch(() => ({ stdout: '' }));
  return stdout.trim() === '' ? undefined : stdout.trim();
}

/** Resolves with the names of the files that were built into `out`. */
async function build(out: string, what: Build, { architectures, deb, image, base }: BuildOptions): Promise<string[]> {
  const cache = join(repository, 'node_modules/.cache/package');
  // Its files need modes, which the disk of `out` may not have.
  const { folder: work } = await createPartial(cache);
  const built: string[] = [];
  try {
    const common = join(work, 'common');
    await buildCommon(what, common);
    for (const architecture of architectures) {
      what.signal?.throwIfAborted();
      const name = `isthmus-${what.version}-linux-${architecture}`;
      await cp(common, join(work, name), { recursive: true });
      await completeTree(what, join(work, name), architecture, cache);
      await packTarball(join(out, `${name}.tar.gz`), work, name, what);
      built.push(`${name}.tar.gz`);
      if (deb) built.push(await buildDebianPackage(what, architecture, join(work, name), out));
      if (image) built.push(await buildImage(what, architecture, join(work, name), out, base));
      await rm(join(work, name), { recursive: true });
    }
  } finally {
    await removePartial(work);
  }
  return built;
}

/** The signature and the public key go beside the list. */
async function sign(folder: string, sums: string, key: KeyObject): Promise<void> {
  await writeFile(join(folder, SIGNATURE_FILE), signSums(sums, key));
  await writeFile(join(folder, PUBLIC_KEY_FILE), createPublicKey(key).export({ type: 'spki', format: 'pem' }));
}

function report(
  out: string,
  removed: readonly string[],
  sums: string,
  key: KeyObject | undefined,
  terminal: Terminal,
): void {
  terminal.out(sums.trimEnd());
  for (const name of removed) {
    const why =
      name === SIGNATURE_FILE || name === PUBLIC_KEY_FILE
        ? 'of an earlier build: this one is not signed'
        : 'of an earlier build: SHA256SUMS does not name it';
    terminal.out(`removed ${join(out, name)}, ${why}`);
  }
  if (key === undefined) {
    terminal.out('NOT SIGNED: hosts install it only by hand, and take no upgrade from it. --key FILE signs it.');
  } else terminal.out(`signed with the key ${keyFingerprint(createPublicKey(key))}`);
}

// Bench: what a delta between adjacent versions of real packages costs in bytes, time and memory, beside the whole file,
// rsync and `zstd --patch-from`. The packages come from the npm registry, as it serves them and as zips of the same files.
import { execFile, spawnSync } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { unpackArchive } from '../lib/archives/archive.ts';
import type { DeltaJob } from '../lib/delta/codec.ts';
import type { Content } from '../lib/delta/content.ts';
import { findGzipRecipe } from '../lib/delta/gzip-recipe.ts';
import { rounded, type Bench, type Figure } from './support/report.ts';

const run = promisify(execFile);
const CHILD = join(import.meta.dirname, 'children/delta-job.ts');
/** Each is a Debian package of the same name. */
const PROGRAMS: readonly string[] = ['rsync', 'zip', 'zstd'];
const never = new AbortController().signal;

interface Pair {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

/** Patch releases: one that also changes compressed files inside moves as much as those have. */
const typescript: Pair = { name: 'typescript', from: '5.9.2', to: '5.9.3' };
const esbuild: Pair = { name: '@esbuild/linux-x64', from: '0.25.11', to: '0.25.12' };
const next: Pair = { name: 'next', from: '16.4.5', to: '16.4.6' };
const cdk: Pair = { name: 'aws-cdk-lib', from: '2.173.3', to: '2.173.4' };

interface Measured {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
}

type Figures = Record<string, Figure>;

async function job(job: DeltaJob, into: string): Promise<Measured> {
  const { stdout } = await run(process.execPath, [CHILD, JSON.stringify({ job, into })]);
  return JSON.parse(stdout) as Measured;
}

const sizeOf = async (path: string): Promise<number> => (await stat(path)).size;
const share = (bytes: number, whole: number): number => rounded(bytes / whole, 3);

/** Downloads one version as the registry has it. */
async function download({ name }: Pair, version: string, folder: string): Promise<string> {
  const { stdout } = await run('npm', ['pack', `${name}@${version}`, '--silent', '--pack-destination', folder]);
  return join(folder, stdout.trim());
}

async function inflate(path: string): Promise<string> {
  const tar = path.replace(/\.tgz$/, '.tar');
  await pipeline(createReadStream(path), createGunzip(), createWriteStream(tar));
  return tar;
}

/** A zip of the files that a tgz has, in its order. */
async function zipOf(tgz: string): Promise<string> {
  const into = `${tgz}.files`;
  await unpackArchive({ path: tgz, format: 'tar.gz', into });
  const zip = tgz.replace(/\.tgz$/, '.zip');
  await run('zip', ['-q', '-r', '-X', '-9', zip, '.'], { cwd: into });
  await rm(into, { recursive: true });
  return zip;
}

/** The bytes on the wire when rsync brings `from` up to `to`, both ways. */
async function rsyncBytes(from: string, to: string, folder: string): Promise<number> {
  const copy = join(folder, 'rsynced');
  await copyFile(from, copy);
  const { stdout } = await run('rsync', ['--no-whole-file', '--stats', '-z', to, copy]);
  await rm(copy);
  const count = (what: string): number =>
    Number(new RegExp(`^Total bytes ${what}: ([\\d,]+)$`, 'm').exec(stdout)?.[1]?.replaceAll(',', ''));
  return count('sent') + count('received');
}

async function patchFromBytes(from: string, to: string, folder: string): Promise<number> {
  const patch = join(folder, 'patch-from.zst');
  await run('zstd', ['-q', '-f', '--long=31', `--patch-from=${from}`, to, '-o', patch]);
  return sizeOf(patch);
}

/** Encodes and applies, checks what comes out, and says what it took. */
async function measure(from: Content, to: Content, wholeBytes: number, plainTo: string, folder: string) {
  const [patch, out] = [join(folder, 'patch'), join(folder, 'out')];
  const encoded = await job({ kind: 'encode', base: from, target: to, mostBytes: wholeBytes }, patch);
  const applied = await job({ kind: 'decode', base: from, patch, targetBytes: await sizeOf(plainTo) }, out);
  if (!(await readFile(out)).equals(await readFile(plainTo))) throw new Error(`the delta of ${plainTo} is wrong`);
  return { patchBytes: await sizeOf(patch), encoded, applied };
}

async function measurePair(pair: Pair, available: ReadonlySet<string>, root: string): Promise<[Figures, Figures]> {
  const folder = join(root, pair.name.replaceAll(/\W/g, '-'));
  await mkdir(folder);
  const [from, to] = [await download(pair, pair.from, folder), await download(pair, pair.to, folder)];
  const [fromTar, toTar] = [await inflate(from), await inflate(to)];
  const whole = await sizeOf(to);
  const packed = (path: string): Content => ({ path, inflated: true });
  const tar = await measure(packed(from), packed(to), whole, toTar, folder);
  const began = performance.now();
  const recipe = await findGzipRecipe(to, never);
  const recipeS = (performance.now() - began) / 1000;
  const figures: Figures = {
    whole_bytes: whole,
    delta_share: share(tar.patchBytes, whole),
    encode_s: rounded(tar.encoded.seconds),
    encode_cpu_s: rounded(tar.encoded.cpuSeconds),
    apply_s: rounded(tar.applied.seconds),
    apply_cpu_s: rounded(tar.applied.cpuSeconds),
    peak_mb: rounded(Math.max(tar.encoded.peakMb, tar.applied.peakMb)),
    tar_mb: rounded((await sizeOf(toTar)) / 1e6),
    recipe: recipe === null ? null : `level ${recipe.level}, memLevel ${recipe.memLevel}`,
    recipe_s: rounded(recipeS),
  };
  const rivals: Figures = {
    rsync_share: available.has('rsync') ? share(await rsyncBytes(from, to, folder), whole) : null,
    patch_from_share: available.has('zstd') ? share(await patchFromBytes(fromTar, toTar, folder), whole) : null,
    patch_from_tgz_share: available.has('zstd') ? share(await patchFromBytes(from, to, folder), whole) : null,
  };
  if (available.has('zip')) {
    const [fromZip, toZip] = [await zipOf(from), await zipOf(to)];
    const plain = (path: string): Content => ({ path, inflated: false });
    const wholeZip = await sizeOf(toZip);
    const zip = await measure(plain(fromZip), plain(toZip), wholeZip, toZip, folder);
    figures['zip_whole_bytes'] = wholeZip;
    figures['zip_delta_share'] = share(zip.patchBytes, wholeZip);
    figures['zip_encode_s'] = rounded(zip.encoded.seconds);
    figures['zip_apply_s'] = rounded(zip.applied.seconds);
    rivals['zip_rsync_share'] = available.has('rsync')
      ? share(await rsyncBytes(fromZip, toZip, folder), wholeZip)
      : null;
  }
  await rm(folder, { recursive: true });
  return [figures, rivals];
}

function named(pair: Pair, figures: Figures): Figures {
  const prefix = pair.name.replaceAll(/\W+/g, '_').replace(/^_/, '');
  return Object.fromEntries(Object.entries(figures).map(([key, value]) => [`${prefix}_${key}`, value]));
}

export const bench: Bench = async ({ quick, say }) => {
  const missing = PROGRAMS.filter((name) => spawnSync(name, ['--version']).error !== undefined);
  const available = new Set(PROGRAMS.filter((name) => !missing.includes(name)));
  const notes = missing.map((name) => `${name} is not here: apt-get install ${name}`);
  const root = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
  const figures: Figures = {};
  const rivals: Figures = {};
  try {
    for (const pair of quick ? [typescript, esbuild] : [typescript, esbuild, next, cdk]) {
      say(`${pair.name} ${pair.from} → ${pair.to}`);
      const [ours, theirs] = await measurePair(pair, available, root);
      Object.assign(figures, named(pair, ours));
      Object.assign(rivals, named(pair, theirs));
    }
  } finally {
    await rm(root, { recursive: true, force: true });
  }
  return { figures, rivals, notes: [...notes, 'shares are of the whole file; delta_share of a tgz is of its tar'] };
};

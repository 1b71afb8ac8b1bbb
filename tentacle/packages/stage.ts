// Stages a release: takes what acquiring has unpacked for its task, or unpacks the acquired package, and substitutes
// variables in it. Without its record the folder does not count, and the next try starts from an empty one. The folder
// of another task is never reused: scripts may have changed it since.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { existsSync } from 'node:fs';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { UnpackedFolder } from '../../lib/archives/archive.ts';
import { finishFolders } from '../../lib/archives/folder-writer.ts';
import type { BlobStore } from '../../lib/blobs/blob-store.ts';
import { translateDiskFull } from '../../lib/files/disk-space.ts';
import { writeDurably } from '../../lib/files/durable.ts';
import { readSecret } from '../../lib/files/private.ts';
import { compareText } from '../../lib/text/compare.ts';
import { applyOwnership, ownerOf, type FileOwner } from './ownership.ts';
import type { PackageOrder } from './payload.ts';
import { releaseName, type ReleaseRecord, type Releases } from './releases.ts';
import { substituteFiles, type PackageWarning } from './substitute-files.ts';
import type { Tars } from './tars.ts';
import { unpackCached } from './unpack.ts';

export interface StageDeps {
  readonly blobs: BlobStore;
  readonly tars: Tars;
  readonly log: Logger;
  /** The HMAC key of the stamps: from a plain hash, the variables could be guessed. */
  readonly stampKey: Buffer;
  readonly owner?: FileOwner | undefined;
  /** How much free disk unpacking must leave. */
  readonly reserveBytes: number;
  readonly signal: AbortSignal | undefined;
}

/** A mistake that repeats itself is told often enough. */
const MOST_WARNINGS = 30;

/** Stages a task's release; returns its name. The same task finds its release again; another task creates its own. */
export async function stageRelease(
  releases: Releases,
  order: PackageOrder,
  task: string,
  deps: StageDeps,
): Promise<string> {
  const stamp = stampOf(order, deps.stampKey);
  const release = releaseName(order, task);
  if (!(await isWhole(releases, release, stamp))) await build(releases, { release, stamp, task }, order, deps);
  return release;
}

async function isWhole(releases: Releases, release: string, stamp: string): Promise<boolean> {
  const record = await releases.record(release);
  if (record === undefined || !sameText(record.stamp, stamp)) return false;
  return (await releases.isActivated(release)) || (await releases.isStaged(release));
}

async function build(
  releases: Releases,
  { release, stamp, task }: { readonly release: string; readonly stamp: string; readonly task: string },
  order: PackageOrder,
  deps: StageDeps,
): Promise<void> {
  const owner = await ownerOf(order.fileRules, deps.owner);
  await releases.clearStaging(release);
  const into = releases.private.buildingOf(release);
  try {
    const { files, bytes, folders } = await unpacked(releases, release, order, deps);
    const warnings = await substituteFiles(into, order, deps.signal);
    await finishFolders(into, folders, deps.signal);
    const secrets = new Set(warnings.filter(({ kind }) => kind === 'sensitive').map(({ file }) => file));
    const mode = await applyOwnership(into, order.fileRules, owner, (name) => secrets.has(name));
    const { id, version, sha256 } = order;
    const record: ReleaseRecord = {
      ...{ task, id, version, sha256, stamp, files, bytes },
      // First those of files that became narrower: they are never cut for the sake of others.
      warnings: warnings.toSorted((a, b) => rank(a) - rank(b)).slice(0, MOST_WARNINGS),
      warningsLeftOut: Math.max(0, warnings.length - MOST_WARNINGS),
    };
    await releases.finishStaging(release, record, mode);
  } catch (thrown) {
    await releases.clearStaging(release);
    await releases.private.clear(release);
    deps.signal?.throwIfAborted();
    throw translateDiskFull(thrown, 'the unpacked package');
  }
}

/** The unpacked package, in the private folder, for this task alone to change. */
async function unpacked(
  releases: Releases,
  release: string,
  order: PackageOrder,
  deps: StageDeps,
): Promise<UnpackedFolder> {
  const before = await releases.private.take(release);
  if (before?.sha256 === order.sha256) return before;
  if (deps.tars.stored(order.sha256) === undefined) {
    throw new IsthmusError('PACKAGE_UNAVAILABLE', `${order.id} ${order.version} has not been acquired`);
  }
  await releases.private.clear(release);
  return unpackCached(order, releases.private.buildingOf(release), deps);
}

function rank({ kind }: PackageWarning): number {
  return kind === 'sensitive' ? 0 : 1;
}

function stampOf(order: PackageOrder, key: Buffer): string {
  const { sha256, format, fileName, substitute, variables, fileRules } = order;
  const sorted = Object.entries(variables).sort(([a], [b]) => compareText(a, b));
  const placed = fileName === undefined ? format : [format, fileName];
  const content = JSON.stringify([sha256, placed, fileRules, substitute, substitute.length === 0 ? [] : sorted]);
  return createHmac('sha256', key).update(content).digest('hex');
}

function sameText(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}

/** The key for stamps; created at first use. */
export function readStampKey(path: string, create: () => Buffer): Buffer {
  const key = existsSync(path) ? readSecret(path) : undefined;
  if (key?.length === 32) return key;
  const created = create();
  writeDurably(path, created);
  return created;
}

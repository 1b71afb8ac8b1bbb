// The upgrader: carries out what the nodes of a host order, as root. The account that orders may be taken over: what is
// installed is what a trusted key has signed, and higher than what there is, or nothing.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parseTarballName, readTrustedKeys, signedDigest } from '../../certs/release-keys.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { JOIN_ROLES } from '../../contract/join-tokens.ts';
import { compareVersions } from '../../lib/package-versions.ts';
import type { HostLayout } from '../layout.ts';
import { openTarball, readOrders, type UpgradeOrder } from '../orders.ts';
import { begin, checkSchema, rejectPackaged, switching } from './begin.ts';
import { dropOrder, fail, resume, run, type Ended, type Host } from './change.ts';
import { linkedVersion } from '../disk/links.ts';
import { withVersionsLocked } from '../disk/lock.ts';
import { asNoRoom } from '../disk/room.ts';
import { stageTarball } from '../disk/staging.ts';

/** Whoever orders may not fill the disk: a tarball has about 60 MB. */
const MOST_BYTES = 512 * 1024 ** 2;

/** Nor keep root busy: a run ends after so many orders of each node. */
const MOST_ROUNDS = 4;

/**
 * Brings a change that a crash cut off to its end, then carries out the orders of nodes, one after the other, also those
 * that come meanwhile. How each has ended is in the journal; one that cannot be read has no id to be told of there, and
 * stops no other. Waits for a change by hand to end.
 */
export async function upgrade(host: Host, onEnded: (ended: Ended) => void): Promise<void> {
  const { layout, signal, onProblem } = host;
  if (!existsSync(layout.versions)) return;
  await withVersionsLocked(layout, { waiting: signal }, async () => {
    const resumed = await resume(host);
    if (resumed !== undefined) onEnded(resumed);
    for (const found of readOrders(layout)) if ('error' in found) onProblem(found.error);
    // Those that cannot be taken away are not carried out again and again.
    const done = new Set<string>();
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      const doneBefore = done.size;
      for (const role of JOIN_ROLES) {
        const found = readOrders(layout).find((each) => each.role === role);
        if (found === undefined || 'error' in found || done.has(`${role} ${found.order.id}`)) continue;
        done.add(`${role} ${found.order.id}`);
        onEnded(await carryOut(host, found.order));
      }
      if (done.size === doneBefore) return;
    }
  });
}

/** Afterwards the order is gone: by then the journal has what becomes of it. */
async function carryOut(host: Host, order: UpgradeOrder): Promise<Ended> {
  const { layout } = host;
  const { id, role, version: to, confirmWithinS } = order;
  const from = (await linkedVersion(layout.current)) ?? null;
  const change = begin(host, { id, role, why: 'upgrade', from, to, confirmWithinS });
  try {
    rejectPackaged(layout);
    await stageOrder(layout, order, from);
  } catch (thrown) {
    const failed = fail(host, change, IsthmusError.from(thrown, 'FILE_UNUSABLE'));
    dropOrder(host, order);
    return failed;
  }
  const staged = await switching(host, change);
  dropOrder(host, order);
  return run(host, staged);
}

/** Brings what the order names into its folder, if it is what a trusted key has signed. */
async function stageOrder(layout: HostLayout, order: UpgradeOrder, from: string | null): Promise<void> {
  const { version, tarball, sums, signature } = order;
  if (from !== null && compareVersions(version, from) <= 0) {
    throw new IsthmusError('UPGRADE_DOWNGRADE', `${version} is not higher than ${from}, the current version`);
  }
  if (parseTarballName(tarball)?.version !== version) {
    throw new IsthmusError('SOFTWARE_NOT_LISTED', `${tarball} is not the tarball of ${version}`);
  }
  const trusted = await readTrustedKeys(layout.releaseKeys);
  const sha256 = signedDigest({ sums, signature: Buffer.from(signature, 'base64') }, tarball, trusted);
  const copy = join(layout.versions, '.incoming-tarball');
  try {
    await copyTarball(layout, order, { copy, sha256 });
    await stageTarball(layout, copy, tarball.replace(/\.tar\.gz$/, ''), (software) => {
      if (software.version !== version) {
        throw new IsthmusError('SOFTWARE_DAMAGED', `${tarball} has ${software.version} in it`);
      }
      checkSchema(layout, software);
    });
  } finally {
    await rm(copy, { force: true });
  }
}

/** Copies the tarball to where only root can change it, and takes the digest of what is copied. */
async function copyTarball(
  layout: HostLayout,
  order: UpgradeOrder,
  { copy, sha256 }: { readonly copy: string; readonly sha256: string },
): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  const meter = async function* (chunks: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > MOST_BYTES) throw new IsthmusError('SOFTWARE_DAMAGED', `${order.tarball} is too large`);
      hash.update(chunk);
      yield chunk;
    }
  };
  const from = createReadStream('', { fd: openTarball(layout, order) });
  try {
    await pipeline(from, meter, createWriteStream(copy, { flags: 'wx', mode: 0o600 }));
  } catch (thrown) {
    throw asNoRoom(layout, thrown);
  }
  if (hash.digest('hex') === sha256) return;
  throw new IsthmusError('SOFTWARE_DAMAGED', `${order.tarball} is not as the signed list says`);
}

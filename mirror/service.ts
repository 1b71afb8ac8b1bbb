// Serves the mesh service `mirror`: every method is for servers only, and what changes something is signed.
import type { PeerIdentity } from '../certs/peer.ts';
import { IsthmusError } from '../contract/errors.ts';
import type { Teardown } from '../lib/component.ts';
import { freeBytes } from '../lib/files/disk-space.ts';
import { loadDefinitions, messageCodec } from '../lib/grpc/load.ts';
import { GrpcHost, type AsyncHandlers, type MethodAccess } from '../lib/grpc/server.ts';
import type { BlobStore } from '../lib/blobs/blob-store.ts';
import { isSha256 } from '../lib/blobs/digest.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import { compareText } from '../lib/text/compare.ts';
import { SOFTWARE_VERSION } from '../lib/version.ts';
import type { NodeRuntime } from '../node/runtime.ts';
import type { CacheCounters } from '../proto/gen/isthmus/mirror/v1/CacheCounters.ts';
import type { MirrorHandlers } from '../proto/gen/isthmus/mirror/v1/Mirror.ts';
import type { MirrorCache } from './cache.ts';
import type { Counts } from './counters.ts';
import { orderReader } from './orders.ts';
import { scrub } from './scrub.ts';
import type { SpaceLimits } from './space.ts';

const types = loadDefinitions('isthmus/mirror/v1/mirror.proto').isthmus.mirror.v1;
const warmPayload = messageCodec(types.WarmPayload);
const keepPayload = messageCodec(types.KeepPayload);
const verifyPayload = messageCodec(types.VerifyPayload);
const collectPayload = messageCodec(types.CollectPayload);
const SERVERS_ONLY: MethodAccess = { roles: ['server'] };
/** In one answer: some 100 bytes each. */
const MOST_LISTED = 1000;

interface MirrorServiceOptions {
  readonly node: Pick<NodeRuntime, 'identity' | 'mesh' | 'revocations'>;
  readonly cache: MirrorCache;
  readonly blobs: BlobStore;
  readonly limits: SpaceLimits;
  /** Where the cache lies. */
  readonly folder: string;
  readonly log: Logger;
  readonly teardown: Teardown;
}

/** Serves the cache to servers until the teardown. */
export function serveMirror({ node, cache, blobs, limits, folder, log, teardown }: MirrorServiceOptions): void {
  const { mesh } = node;
  const host = new GrpcHost<PeerIdentity>({
    log,
    onError: (error, peer, method) => mesh.denials.record(error, peer?.node ?? 'unknown', method),
  });
  teardown.add(() => host.stop());

  const orderOf = orderReader(node);
  const handlers: AsyncHandlers<MirrorHandlers, PeerIdentity> = {
    async Status() {
      const { quotaBytes, minFreeBytes } = limits;
      const { packages, packageBytes, partialBytes, fetching } = await cache.usage();
      return {
        ...{ softwareVersion: SOFTWARE_VERSION, minFreeBytes, packages, packageBytes, partialBytes, fetching },
        quotaBytes: quotaBytes === Number.MAX_SAFE_INTEGER ? 0 : quotaBytes,
        freeBytes: await freeBytes(folder),
        ...{ full: cache.isFull, counters: countersOf(cache.counts) },
        ...keptIn(cache),
      };
    },
    List({ request: { sha256: only, after, limit } }) {
      const listed = cache
        .list(only.length === 0 ? undefined : only)
        .filter(({ sha256 }) => compareText(sha256, after) > 0)
        .toSorted((a, b) => compareText(a.sha256, b.sha256));
      const most = limit === 0 ? MOST_LISTED : Math.min(limit, MOST_LISTED);
      const packages = listed.slice(0, most).map((blob) => ({ ...blob, usedAtMs: Math.round(blob.usedAtMs) }));
      return { packages, more: listed.length > most };
    },
    async Warm(call) {
      const { sha256, sizeBytes, maxBytesPerS } = warmPayload.decode(orderOf(call.request, 'warm'));
      if (!isSha256(sha256)) throw new IsthmusError('INVALID_FIELD', 'a digest is 64 lower-case hex digits');
      const gone = new AbortController();
      call.on('cancelled', () => gone.abort(new IsthmusError('CANCELLED', 'the server has gone')));
      const onProgress = (receivedBytes: number): void => {
        call.write({ receivedBytes, totalBytes: sizeBytes });
      };
      const { cached } = await cache.warm(
        // Its own download token comes with its sources.
        { sha256, sizeBytes, downloadToken: '' },
        { maxBytesPerS, signal: gone.signal, onProgress },
      );
      call.write({ receivedBytes: sizeBytes, totalBytes: sizeBytes, done: true, cached });
      call.end();
    },
    Keep({ request }) {
      const { pins, leases } = keepPayload.decode(orderOf(request, 'keep'));
      cache.protection.replace({
        pins,
        leases: leases.map(({ forS, ...lease }) => ({ ...lease, forMs: forS * 1000 })),
      });
      return {};
    },
    async Verify({ request }) {
      const { checked, damaged } = await scrub({ blobs, cache }, verifyPayload.decode(orderOf(request, 'verify')));
      return { checked, damaged: [...damaged] };
    },
    async Collect({ request }) {
      return { removed: await cache.collect(collectPayload.decode(orderOf(request, 'collect'))) };
    },
  };
  const access = {
    ...{ Status: SERVERS_ONLY, List: SERVERS_ONLY, Warm: SERVERS_ONLY },
    ...{ Keep: SERVERS_ONLY, Verify: SERVERS_ONLY, Collect: SERVERS_ONLY },
  };
  host.add<MirrorHandlers>(types.Mirror.service, handlers, access);
  mesh.listen('mirror', (stream) => host.accept(stream));
}

function countersOf({ evictions, ...counts }: Counts): CacheCounters {
  return {
    ...counts,
    evictedForQuota: evictions.quota,
    evictedForFreeSpace: evictions['free-space'],
    evictedForWrite: evictions.write,
    evictedOnRequest: evictions.gc,
  };
}

function keptIn(cache: Pick<MirrorCache, 'list'>): { readonly pinned: number; readonly leased: number } {
  const packages = cache.list();
  return {
    pinned: packages.filter(({ pinned }) => pinned).length,
    leased: packages.filter(({ leased }) => leased).length,
  };
}

// Starts a mirror: a regional cache of packages, in a process of its own so that a full disk never drops a tunnel.
//
//   cache.ts      serves packages and fetches missing ones
//   deltas.ts     hands patches on
//   open-port.ts  HTTPS for targets of the site
//   service.ts    what servers ask of it; orders.ts reads what they sign
//   config.ts     its settings
import { join } from 'node:path';
import type { IdentityStore } from '../certs/identity.ts';
import type { PeerIdentity } from '../certs/peer.ts';
import { verifyDownloadToken } from '../certs/signer.ts';
import { IsthmusError } from '../contract/errors.ts';
import { startComponent, type Running, type Teardown } from '../lib/component.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import { BlobServer, type BlobOrigin, type BlobRequest } from '../lib/blobs/blob-server.ts';
import { blobEntries, BlobStore } from '../lib/blobs/blob-store.ts';
import type { Source } from '../lib/blobs/source.ts';
import { SourceStates } from '../lib/blobs/source-states.ts';
import { openCached } from '../lib/blobs/cached-blob.ts';
import { DeltaCache } from '../lib/delta/delta-cache.ts';
import { checkFeedUrl } from '../lib/net/feed-url.ts';
import { AbandonedSources } from '../node/sources/abandoned.ts';
import { connectSource, FEED_SERVICE } from '../node/sources/connect.ts';
import { startUpkeep, openNode } from '../node/runtime.ts';
import type { Denials } from '../mesh/denials.ts';
import { MirrorCache } from './cache.ts';
import { MirrorDeltas } from './deltas.ts';
import type { MirrorSettings } from './config.ts';
import { readCacheState, saveCacheState } from './saved-state.ts';
import { startScrubbing } from './scrub.ts';
import { listenOpenPort, type OpenPort, type OpenPortDeps } from './open-port.ts';
import { serveMirror } from './service.ts';
import { SourceFinder, type FindSources } from '../node/sources/find.ts';

export interface MirrorConfig extends MirrorSettings {
  readonly dataDir: string;
}

export interface MirrorAddresses {
  readonly mesh: string | undefined;
  /** https://host:port of the open port. */
  readonly feed: string | undefined;
}

/** Room for logs and others that share the disk. */
const DEFAULT_MIN_FREE_BYTES = 512 * 1024 * 1024;

/** The requester, and whether it came over the mesh or at the open port. */
interface Requester {
  readonly peer: PeerIdentity;
  readonly at: 'mesh' | 'open port';
}

/** Starts a mirror on a data folder that has joined a mesh. */
export function start(config: MirrorConfig, { log }: { readonly log: Logger }): Promise<Running<MirrorAddresses>> {
  return startComponent(log, (teardown) => assemble(config, log, teardown));
}

async function assemble(config: MirrorConfig, log: Logger, teardown: Teardown): Promise<MirrorAddresses> {
  const { dataDir } = config;
  if (config.feedUrl !== undefined) checkFeedUrl(config.feedUrl);
  const node = await openNode('mirror', config, { log, teardown, deeper: blobEntries('packages') });
  const { identity, revocations, mesh } = node;
  const sources = await SourceFinder.open(mesh, dataDir, log);
  teardown.add(() => sources.stop());
  const access = { mesh, identity, revocations, loopback: config.feedLoopback === true };
  const abandonedSources = new AbandonedSources();
  const folder = join(dataDir, 'packages');
  const blobs = await BlobStore.open(folder);
  const states = new SourceStates({ blobs, log });
  const limits = {
    quotaBytes: config.quotaBytes ?? Number.MAX_SAFE_INTEGER,
    minFreeBytes: config.minFreeBytes ?? DEFAULT_MIN_FREE_BYTES,
    lowWaterPercent: config.lowWaterPercent,
  };
  const deltaCache = await DeltaCache.open(join(folder, 'deltas'), log);
  const find: FindSources = (sha256, downloadToken) => sources.find(sha256, downloadToken);
  const connect = (source: Source, signal: AbortSignal) => connectSource(source, access, signal);
  const deltas = new MirrorDeltas({ cache: deltaCache, blobs, find, connect, states, log });
  teardown.add(() => deltas.stop());
  const cache = new MirrorCache({
    ...{ find, connect, otherBytes: () => deltaCache.usedBytes },
    blobs,
    states,
    saved: await readCacheState(dataDir),
    onSlowSource: abandonedSources.record,
    onWrongSource: (source, error) => mesh.denials.record(error, source, FEED_SERVICE),
    limits,
    log,
  });
  const saver = saveCacheState(dataDir, () => cache.state(), log);
  teardown.add(() => saver.stop());
  teardown.add(() => cache.stop());
  teardown.add(startScrubbing({ blobs, cache }, log));
  serveMirror({ node, cache, blobs, limits, folder, log, teardown });
  const server = new BlobServer<Requester>(
    { ...originOf(cache, identity, mesh.denials), delta: (request, grant) => deltas.open(request, grant) },
    log,
  );
  teardown.add(() => server.stop());
  mesh.listen(FEED_SERVICE, (stream) => server.accept(stream, { peer: stream.peer, at: 'mesh' }));
  const { denials } = mesh;
  const openPort = await openPortOf(config, { identity, revocations, denials, log }, server);
  if (openPort !== undefined) teardown.add(() => openPort.stop());
  const feed = openPort === undefined ? undefined : urlOf(config, openPort);
  const extra = () => ({
    ...{ feedUrl: feed ?? '', cachedBytes: cache.cachedBytes },
    cache: { full: cache.isFull, damaged: cache.counts.damaged },
  });
  const takeOut = (damaged: string) => cache.putAside(damaged);
  const upkeep = {
    feedLoopback: access.loopback,
    openCached: (sha256: string) => openCached(blobs, sha256, log, takeOut),
  };
  startUpkeep(node, { log, teardown, extra, abandonedSources, sourceStates: () => states.all(), ...upkeep });
  return { mesh: mesh.address, feed };
}

function originOf(cache: MirrorCache, identity: IdentityStore, denials: Denials): BlobOrigin<Requester> {
  return {
    authorise: ({ sha256, downloadToken, peer: { peer, at } }: BlobRequest<Requester>) => {
      const trust = identity.current();
      // The open port is for the mirror's site; over the mesh, nodes of the sites below come, too. A target has its own
      // token; a mirror may also use the token of one of its targets, when it cannot get its own from the server.
      const site = at === 'open port' && trust.site !== null ? { site: trust.site } : {};
      const node = peer.role === 'mirror' ? {} : { node: peer.node };
      try {
        return verifyDownloadToken(downloadToken, trust, { sha256, ...site, ...node });
      } catch (thrown) {
        denials.record(IsthmusError.from(thrown), peer.node, FEED_SERVICE);
        throw thrown;
      }
    },
    open: ({ sha256, downloadToken, warming }, { sizeBytes }) =>
      cache.open({ sha256, sizeBytes, downloadToken }, warming),
    sizeOf: (sha256) => cache.sizeOf(sha256),
  };
}

async function openPortOf(
  { feedListen }: MirrorConfig,
  deps: Omit<OpenPortDeps, 'onStream'>,
  server: BlobServer<Requester>,
): Promise<OpenPort | undefined> {
  if (feedListen === undefined) return undefined;
  return listenOpenPort(feedListen, {
    ...deps,
    onStream: (stream, peer) => server.accept(stream, { peer, at: 'open port' }),
  });
}

/** The feed URL for targets. Undefined for an address that means every interface: nobody can connect to that. */
function urlOf({ feedUrl }: MirrorConfig, { host, port }: OpenPort): string | undefined {
  if (feedUrl !== undefined) return feedUrl;
  if (host === '0.0.0.0' || host === '::') return undefined;
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

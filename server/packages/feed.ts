// The built-in package feed: takes pushed packages, lists and serves them, over the API and over the mesh.
//   push.ts            receives a package
//   deltas.ts          what changed since the version before
//   sources.ts         the nodes that a node may fetch from
//   explain-sources.ts which sources it uses, in which order, and why
//   package-sources.ts sources that are configured
//   step-source.ts     what a step may say of them
//   source-finder.ts   answers Sources.Find over gRPC
//   list.ts            the packages, each with what uses it
//   delete.ts          deletes versions that nothing uses
//   retention.ts       deletes old ones of them
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { DownloadToken } from '../../certs/signer.ts';
import type { PeerIdentity } from '../../certs/peer.ts';
import type { Deletion } from '../../contract/deletions.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import { CautiousClock } from '../../lib/async/cautious-clock.ts';
import { Mutex } from '../../lib/async/mutex.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { DenialLimiter, type DenialLimits } from '../../lib/net/denial-limiter.ts';
import { BlobServer, type BlobRequest, type BlobServerLimits, type DeltaRequest } from '../../lib/blobs/blob-server.ts';
import { BlobStore } from '../../lib/blobs/blob-store.ts';
import type { Source } from '../../lib/blobs/source.ts';
import { storedBody } from '../../lib/blobs/stored-body.ts';
import { compareVersions, latestVersion, packageIdKey, versionKey } from '../../lib/package-versions.ts';
import type { MeshStream } from '../../mesh/types.ts';
import type { DeltaHints } from '../../proto/gen/isthmus/topology/v1/DeltaHints.ts';
import type { Actor, Page, PageRequest } from '../store/base.ts';
import type { Package } from '../store/packages/packages.ts';
import type { Node } from '../store/nodes/nodes.ts';
import type { DeleteOptions } from '../store/references.ts';
import type { Store } from '../store/store.ts';
import type { LiveTopology } from '../topology/live.ts';
import { isAtLeast } from '../topology/software.ts';
import { deleteVersion, dropOrphans, type FeedBytes } from './delete.ts';
import { FeedDeltas } from './deltas.ts';
import { explainSources, pushedTo, type ExplainedSource } from './explain-sources.ts';
import { pruneVersions, type PruneOptions } from './retention.ts';
import { PackageSources } from './sources.ts';
import { checkFeed, tooOld, tooOldForPush } from './step-source.ts';
import { PUSH_DEFAULTS, pushPackage, type PackageMeta, type PushResult, type PushLimits } from './push.ts';

export interface FeedDeps {
  readonly store: Store;
  readonly topology: Pick<LiveTopology, 'nodes' | 'structure'>;
  readonly dataDir: string;
  readonly log: Logger;
  readonly signDownloadToken: (downloadToken: DownloadToken) => string;
  /** Throws FORBIDDEN. */
  readonly verifyDownloadToken: (
    downloadToken: string,
    requested: { readonly sha256: string; readonly node?: string },
  ) => DownloadToken;
  readonly limits?: Partial<BlobServerLimits>;
  readonly pushLimits?: Partial<PushLimits>;
}

/** What a step says of its sources. */
export interface StepSource {
  /** A package source, a mirror or `server`, which comes first. */
  readonly feed?: string | undefined;
  /** Its machines may not fetch. */
  readonly push?: boolean | undefined;
  /** The package is one file there, and is not unpacked. */
  readonly placed?: boolean | undefined;
}

/** Tentacles unpack every package before. */
const FILES_SINCE = '0.2.0';

export interface SourcesQuery extends StepSource {
  readonly roles?: readonly NodeRole[];
  readonly id?: string | undefined;
  readonly version?: string | undefined;
}

export interface FoundSources {
  readonly sources: readonly Source[];
  readonly downloadToken: string;
  /** Undefined where no delta can be made, or not yet. */
  readonly delta: DeltaHints | undefined;
}

/** Long enough for a slow line to start every part of a resumed download, short enough to be worthless when leaked. */
const DOWNLOAD_TOKEN_LIFETIME_MS = 60 * 60_000;

/** One recorded denial per node and minute: more would crowd out those of other nodes. */
const DENIAL_LIMITS: DenialLimits = { perSource: 1, windowMs: 60_000, sources: 10_000 };

/** Opens the feed in `<dataDir>/packages`. */
export async function createFeed(deps: FeedDeps): Promise<Feed> {
  const { store, log } = deps;
  const blobs = await BlobStore.open(join(deps.dataDir, 'packages'));
  return new Feed(deps, blobs, await FeedDeltas.open({ store, blobs, log }));
}

export class Feed {
  readonly #deps: FeedDeps;
  readonly #blobs: BlobStore;
  readonly #deltas: FeedDeltas;
  readonly #sources: PackageSources;
  readonly #server: BlobServer<PeerIdentity>;
  readonly #denials = new DenialLimiter(DENIAL_LIMITS);
  readonly #damaged = new Set<string>();
  readonly #changing = new Mutex();
  readonly #clock = new CautiousClock();

  constructor(deps: FeedDeps, blobs: BlobStore, deltas: FeedDeltas) {
    this.#deps = deps;
    this.#blobs = blobs;
    this.#deltas = deltas;
    this.#sources = new PackageSources(deps.topology);
    const origin = {
      authorise: (request: BlobRequest<PeerIdentity>) => this.#authorise(request),
      open: ({ sha256 }: BlobRequest<PeerIdentity>) => this.#open(sha256).then((blob) => storedBody(blob)),
      sizeOf: (sha256: string) => blobs.get(sha256)?.sizeBytes,
      delta: (request: DeltaRequest<PeerIdentity>) => deltas.open(request),
    };
    this.#server = new BlobServer(origin, deps.log, deps.limits);
  }

  /** Receives a package (push.ts). */
  async push(body: Readable, meta: PackageMeta, actor: Actor): Promise<PushResult> {
    const limits = { ...PUSH_DEFAULTS, ...this.#deps.pushLimits };
    const pushed = await pushPackage({ ...this.#bytes(), limits }, body, meta, actor);
    if (pushed.created) this.#deltas.pushed(pushed.sha256);
    return pushed;
  }

  /** Deletes a version, in any spelling (delete.ts). */
  async delete(id: string, version: string, options: DeleteOptions): Promise<Deletion> {
    return deleteVersion(this.#bytes(), await this.find(id, version), options);
  }

  /** Deletes the versions that retention lets go (retention.ts). */
  prune(options: PruneOptions): Promise<Deletion> {
    return pruneVersions({ ...this.#bytes(), clock: this.#clock }, options);
  }

  /** Removes the bytes that no version has. */
  dropOrphans(): Promise<void> {
    return dropOrphans(this.#bytes(), this.#deps.log);
  }

  /** The versions of a package, highest first. Throws NOT_FOUND when there is none. */
  async versions(id: string, { limit, cursor }: PageRequest): Promise<Page<Package>> {
    const all = await this.#deps.store.packages.versions(packageIdKey(id));
    if (all.length === 0) throw noPackage(id);
    all.sort((a, b) => compareVersions(b.version, a.version));
    // The cursor is the last version listed; the database cannot sort by version.
    const rest = cursor === undefined ? all : all.filter(({ version }) => compareVersions(version, cursor) < 0);
    const items = rest.slice(0, limit);
    const last = items.at(-1);
    return rest.length > items.length && last !== undefined ? { items, next: last.version } : { items };
  }

  /** One version, in any spelling, or the latest. Throws NOT_FOUND. */
  async find(id: string, version?: string): Promise<Package> {
    const { packages } = this.#deps.store;
    const key = packageIdKey(id);
    const found =
      version === undefined
        ? latestVersion(await packages.versions(key))
        : await packages.find(key, versionKey(version));
    if (found !== undefined) return found;
    if (version === undefined || (await packages.versions(key)).length === 0) throw noPackage(id);
    throw new IsthmusError('NOT_FOUND', `there is no version ${version} of package ${id}`, {
      action: { code: 'CHOOSE_PACKAGE_VERSION', arguments: { package: id } },
    });
  }

  /** The bytes of a blob, or a range of them, as a stream. */
  async download(sha256: string, range: { readonly from?: number; readonly to?: number } = {}): Promise<Readable> {
    const { file } = await this.#open(sha256);
    const { from = 0, to } = range;
    return file.createReadStream({ start: from, ...(to === undefined ? {} : { end: to - 1 }), autoClose: true });
  }

  /** Serves the feed on a stream of the mesh. */
  serve(stream: MeshStream): void {
    this.#server.accept(stream, stream.peer);
  }

  /**
   * The sources of a node for a package, in the order in which it tries them, and why. `feed` is what the step names:
   * INVALID_FIELD when there is no such source. With `push` the server is the only one.
   */
  async explain(requester: Node, wanted: Package, { feed, push = false }: StepSource = {}): Promise<ExplainedSource[]> {
    const { store, topology } = this.#deps;
    if (push) return [pushedTo(requester)];
    const configured = await store.packageSources.all();
    if (feed !== undefined) checkFeed(feed, { configured, findNode: (id) => topology.nodes.get(id) });
    const { id, version, sha256, format } = wanted;
    const about = { id, version, sha256, filename: `${id}.${version}.${format}` };
    return explainSources({ requester, about, feed, offers: this.#sources.of(requester), configured });
  }

  /**
   * Where a node gets a package from, and the download token for it. Throws FORBIDDEN for every denial, whatever the
   * reason. Only nodes of these `roles` get an answer. Of several packages with these bytes, `id` and `version` say
   * which is meant.
   */
  async sources(
    nodeId: string,
    sha256: string,
    { roles, id, version, ...step }: SourcesQuery = {},
  ): Promise<FoundSources> {
    const { store, topology, signDownloadToken } = this.#deps;
    const same = await store.packages.byDigest(sha256);
    const known = same.find((each) => each.id === id && each.version === version) ?? same[0];
    const requester = topology.nodes.get(nodeId);
    const isAllowed = requester?.state === 'active' && roles?.includes(requester.role) !== false;
    if (!isAllowed || requester.site === null || known === undefined) {
      await this.#recordDenial(nodeId, sha256, 'FORBIDDEN');
      throw forbidden();
    }
    const expiresAtMs = Date.now() + DOWNLOAD_TOKEN_LIFETIME_MS;
    const downloadToken = signDownloadToken({
      sha256,
      sizeBytes: known.sizeBytes,
      site: requester.site,
      node: requester.id,
      expiresAtMs,
    });
    if (step.placed === true && !isAtLeast(requester, FILES_SINCE)) {
      throw tooOld(requester, 'unpacks every package', 'Upgrade it, or deploy a tar.gz, zip or nupkg there.');
    }
    const used = (await this.explain(requester, known, step)).filter(({ isUsed }) => isUsed);
    if (used.length === 0) throw tooOldForPush(requester);
    const sources = used.map(({ source }) => source);
    return { sources, downloadToken, delta: await this.#deltas.hints(sha256) };
  }

  /** The mirrors from which a node may fetch. */
  mirrorsOf(node: string): readonly string[] {
    const found = this.#deps.topology.nodes.get(node);
    if (found === undefined) return [];
    const near = this.#sources.of(found).filter(({ tier }) => tier === 'mirror' || tier === 'parent');
    return [...new Set(near.map(({ source }) => source.node))];
  }

  /** Ends the downloads under way, and the work on deltas. */
  async stop(): Promise<void> {
    this.#server.stop();
    await this.#deltas.stop();
  }

  #bytes(): FeedBytes {
    return { store: this.#deps.store, blobs: this.#blobs, changing: this.#changing };
  }

  async #authorise({ peer, downloadToken, sha256 }: BlobRequest<PeerIdentity>): Promise<DownloadToken> {
    try {
      const node = await this.#deps.store.nodes.find(peer.node);
      if (node === undefined || node.state !== 'active') throw forbidden();
      // A mirror may also show the download token of the target it fetches for, whose site may be below its own.
      return this.#deps.verifyDownloadToken(downloadToken, {
        sha256,
        ...(node.role === 'mirror' ? {} : { node: node.id }),
      });
    } catch (thrown) {
      await this.#recordDenial(peer.node, sha256, IsthmusError.from(thrown).code);
      throw thrown;
    }
  }

  async #recordDenial(node: string, sha256: string, code: ErrorCode): Promise<void> {
    if (this.#denials.admit(node) === 'suppressed') return;
    await this.#deps.store.denials.append({ actor: node, type: 'download.denied', subject: sha256, data: { code } });
  }

  /** Records one event per damaged package and server start, however often it is requested. */
  async #recordDamage(sha256: string): Promise<void> {
    if (this.#damaged.has(sha256)) return;
    this.#damaged.add(sha256);
    this.#deps.log.error({ sha256 }, 'a package of the feed has changed on disk; push the same bytes again');
    await this.#deps.store.transaction((tx) =>
      tx.events.append({ actor: 'system', type: 'package.damaged', subject: sha256, data: {} }),
    );
  }

  async #open(sha256: string) {
    const blob = await this.#blobs.open(sha256).catch(async (thrown: unknown) => {
      const isDamaged = thrown instanceof IsthmusError && thrown.code === 'PACKAGE_HASH_MISMATCH';
      if (isDamaged) await this.#recordDamage(sha256);
      throw thrown;
    });
    if (blob === undefined) throw new IsthmusError('NOT_FOUND', `there is no blob ${sha256}`);
    return blob;
  }
}

/** The only denial that the feed answers: it does not reveal what exists. */
function forbidden(): IsthmusError {
  return new IsthmusError('FORBIDDEN', 'there is no package here for this node');
}

function noPackage(id: string): IsthmusError {
  return new IsthmusError('NOT_FOUND', `there is no package ${id}`, {
    action: { code: 'CHOOSE_EXISTING', arguments: { kind: 'package' } },
  });
}

// Mirrors as the server finds them when it asks, and warming: fetching a release to mirrors before it is deployed.
import { Type, type Static } from 'typebox';
import { PackageId, PackageVersionName } from './packages.ts';
import { ReleaseVersion } from './releases.ts';
import { Closed, ErrorCode, List, Nullable, PageOf, Sha256, Slug, Slugs, Timestamp, Words } from './schema.ts';
import { DeadlineS } from './tasks.ts';
import { BytesPerS } from './warm-setting.ts';

export const CacheCounters = Type.Object(
  {
    hits: Type.Integer({ description: 'Requests answered from the disk.' }),
    fetches: Type.Integer({ description: 'Requests that started a fetch.' }),
    sharedFetches: Type.Integer({ description: 'Requests that followed the fetch of another one.' }),
    uncached: Type.Integer({ description: 'Fetches that had no room in the cache.' }),
    bytesIn: Type.Integer({ description: 'From sources.' }),
    bytesOut: Type.Integer({ description: 'To requesters.' }),
    bytesSaved: Type.Integer({ description: 'What did not cross the line above the mirror.' }),
    firstByteMs: Nullable(Type.Number({ description: 'Until the first byte of an answer, on average.' })),
    evictions: Type.Object({
      quota: Type.Integer(),
      freeSpace: Type.Integer(),
      write: Type.Integer({ description: 'The disk was full although the marks said otherwise.' }),
      request: Type.Integer({ description: 'Somebody requested it.' }),
    }),
    damaged: Type.Integer({ description: 'Packages that were found to be changed on the disk.' }),
    repaired: Type.Integer(),
  },
  { $id: 'CacheCounters', description: 'Since the mirror joined.' },
);
export type CacheCounters = Static<typeof CacheCounters>;

export const MirrorStatus = Type.Object(
  {
    quotaBytes: Nullable(Type.Integer({ description: 'The most that the cache may use; null for no limit.' })),
    minFreeBytes: Type.Integer({ description: 'Free disk that the cache must leave.' }),
    freeBytes: Type.Integer({ description: 'Free on its disk.' }),
    packages: Type.Integer({ description: 'Whole packages in the cache.' }),
    packageBytes: Type.Integer(),
    partialBytes: Type.Integer({ description: 'Of interrupted and running fetches.' }),
    fetching: Type.Integer({ description: 'Packages that it is fetching.' }),
    full: Type.Boolean({ description: 'The last package had no room although all was evicted that may be.' }),
    pinned: Type.Integer({ description: 'Packages that are not evicted.' }),
    leased: Type.Integer({ description: 'Packages that open deployments need.' }),
    counters: CacheCounters,
  },
  { $id: 'MirrorStatus' },
);
export type MirrorStatus = Static<typeof MirrorStatus>;

export const MirrorError = Type.Object(
  { code: ErrorCode, detail: Type.String(), hop: Type.Optional(Type.String()), remedy: Type.String() },
  { $id: 'MirrorError', description: 'Why there is no answer.' },
);

export const Mirror = Type.Object(
  {
    id: Slug,
    site: Nullable(Slug),
    softwareVersion: Nullable(Type.String()),
    status: Nullable(MirrorStatus),
    error: Type.Optional(MirrorError),
  },
  { $id: 'Mirror' },
);
export type Mirror = Static<typeof Mirror>;

export const MirrorList = Type.Object({ items: List(Mirror) }, { $id: 'MirrorList' });
export type MirrorList = Static<typeof MirrorList>;

const PackageName = Type.Object({ id: PackageId, version: PackageVersionName });

export const CachedPackage = Type.Object(
  {
    sha256: Sha256,
    sizeBytes: Type.Integer(),
    usedAt: Timestamp,
    uses: Type.Integer({ description: 'How often it was requested.' }),
    pinned: Type.Boolean(),
    leased: Type.Boolean({ description: 'An open deployment needs it.' }),
    packages: List(PackageName, {
      description: 'What the feed of the server knows by this digest.',
    }),
  },
  { $id: 'CachedPackage' },
);
export type CachedPackage = Static<typeof CachedPackage>;

const FeedNames = List(Type.Object({ id: PackageId, version: PackageVersionName }), {
  description: 'What the feed of the server knows by this digest.',
});

export const PinnedVersion = Closed({ package: PackageId, version: PackageVersionName }, { $id: 'PinnedVersion' });

export const Verification = Closed(
  { repair: Type.Optional(Type.Boolean({ description: 'Fetches what is damaged again.' })) },
  { $id: 'Verification' },
);

export const VerifiedCache = Type.Object(
  {
    checked: Type.Integer(),
    damaged: List(Type.Object({ sha256: Sha256, repaired: Type.Boolean(), packages: FeedNames })),
  },
  { $id: 'VerifiedCache' },
);
export type VerifiedCache = Static<typeof VerifiedCache>;

export const Collection = Closed(
  { dryRun: Type.Optional(Type.Boolean({ description: 'Answers what would go, and removes nothing.' })) },
  { $id: 'Collection' },
);

export const CollectedCache = Type.Object(
  {
    dryRun: Type.Boolean(),
    removed: List(
      Type.Object({
        sha256: Sha256,
        sizeBytes: Type.Integer(),
        what: Type.String({ description: '`package`, `partial` for an interrupted fetch, or `damaged`.' }),
        packages: FeedNames,
      }),
    ),
  },
  { $id: 'CollectedCache' },
);
export type CollectedCache = Static<typeof CollectedCache>;

export const CachedPackagePage = PageOf(CachedPackage, 'CachedPackagePage');

export const NewWarming = Closed(
  {
    project: Slug,
    release: ReleaseVersion,
    environments: Type.Optional(Slugs),
    sites: Type.Optional(Slugs),
    maxBytesPerS: Type.Optional(BytesPerS),
    deadlineS: Type.Optional(DeadlineS),
  },
  {
    $id: 'NewWarming',
    description: 'Of all environments and sites when it names none; only sites with machines that the release is for.',
  },
);
export type NewWarming = Static<typeof NewWarming>;

export const MirrorReadiness = Type.Object(
  {
    mirror: Slug,
    state: Words(['ready', 'missing', 'unknown', 'unsupported'], {
      description: '`unknown`: it does not answer. `unsupported`: its version cannot be warmed.',
    }),
    missingBytes: Nullable(Type.Integer({ description: 'Null when it is not known.' })),
    missing: List(PackageName),
    error: Type.Optional(ErrorCode),
  },
  { $id: 'MirrorReadiness' },
);
export type MirrorReadiness = Static<typeof MirrorReadiness>;

export const SiteReadiness = Type.Object(
  {
    site: Slug,
    machines: Type.Integer({ description: 'Those that take one of the packages.' }),
    packages: Type.Integer(),
    bytes: Type.Integer({ description: 'Of these packages.' }),
    state: Words(['ready', 'missing', 'unknown', 'unsupported', 'no-mirror'], {
      description: 'Of all its mirrors that can be warmed; the last two when it has none.',
    }),
    mirrors: List(MirrorReadiness),
  },
  { $id: 'SiteReadiness' },
);
export type SiteReadiness = Static<typeof SiteReadiness>;

export const ReleaseSites = Type.Object({ items: List(SiteReadiness) }, { $id: 'ReleaseSites' });
export type ReleaseSites = Static<typeof ReleaseSites>;

export const ReleaseSitesQuery = Closed({ environment: Type.Optional(Slug) });

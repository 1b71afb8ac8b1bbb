// Mirrors as the server finds them when it asks, and warming: fetching a release to mirrors before it is deployed.
import { Type, type Static } from 'typebox';
import { PackageId, PackageVersionName } from './packages.ts';
import { ReleaseVersion } from './releases.ts';
import { Closed, ErrorCode, List, Nullable, PageOf, Sha256, Slug, Slugs, Timestamp } from './schema.ts';
import { DeadlineS } from './tasks.ts';

export const MirrorStatus = Type.Object(
  {
    quotaBytes: Nullable(Type.Integer({ description: 'The most that the cache may use; null for no limit.' })),
    minFreeBytes: Type.Integer({ description: 'Free disk that the cache must leave.' }),
    freeBytes: Type.Integer({ description: 'Free on its disk.' }),
    packages: Type.Integer({ description: 'Whole packages in the cache.' }),
    packageBytes: Type.Integer(),
    partialBytes: Type.Integer({ description: 'Of interrupted and running fetches.' }),
    fetching: Type.Integer({ description: 'Packages that it is fetching.' }),
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

export const CachedPackage = Type.Object(
  {
    sha256: Sha256,
    sizeBytes: Type.Integer(),
    usedAt: Timestamp,
    packages: List(Type.Object({ id: PackageId, version: PackageVersionName }), {
      description: 'What the feed of the server knows by this digest.',
    }),
  },
  { $id: 'CachedPackage' },
);
export type CachedPackage = Static<typeof CachedPackage>;

export const CachedPackagePage = PageOf(CachedPackage, 'CachedPackagePage');

export const BytesPerS = Type.Integer({
  minimum: 1024,
  maximum: 1_000_000_000_000,
  description: 'The most bytes a second that each mirror fetches.',
});

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

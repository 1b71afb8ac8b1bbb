// Packages of the built-in feed.
import { Type, type Static } from 'typebox';
import { LONGEST_VERSION, PACKAGE_ID_PATTERN } from './patterns.ts';
import { Closed, List, PageOf, Sha256, Slug, Timestamp, Words } from './schema.ts';

export const PackageId = Type.String({ pattern: PACKAGE_ID_PATTERN });
/** As it was pushed; the same version may be asked for in another spelling. */
export const PackageVersionName = Type.String({ minLength: 1, maxLength: LONGEST_VERSION });
export const PACKAGE_FORMATS = ['tar.gz', 'zip', 'nupkg'] as const;
export const PackageFormat = Words(PACKAGE_FORMATS, { $id: 'PackageFormat' });
export type PackageFormat = Static<typeof PackageFormat>;

export const PushedPackage = Type.Object(
  {
    id: PackageId,
    version: PackageVersionName,
    sha256: Sha256,
    sizeBytes: Type.Integer(),
    format: PackageFormat,
  },
  { $id: 'PushedPackage' },
);
export type PushedPackage = Static<typeof PushedPackage>;

export const PackageVersion = Type.Object(
  { ...PushedPackage.properties, publishedAt: Timestamp },
  { $id: 'PackageVersion' },
);
export type PackageVersion = Static<typeof PackageVersion>;

/** A package: its latest version, and what all its versions need and are used by. */
export const PackageSummary = Type.Object(
  {
    ...PackageVersion.properties,
    versions: Type.Integer({ description: 'How many there are.' }),
    totalBytes: Type.Integer({ description: 'Of all versions; the same bytes count once.' }),
    usedBy: List(Type.Object({ project: Slug, releases: Type.Integer({ description: 'How many pin a version.' }) })),
  },
  { $id: 'PackageSummary' },
);
export type PackageSummary = Static<typeof PackageSummary>;

export const PackageSummaryPage = PageOf(PackageSummary, 'PackageSummaryPage');

export const PackageVersionPage = PageOf(PackageVersion, 'PackageVersionPage');

export const PushQuery = Closed({
  id: Type.Optional(PackageId),
  version: Type.Optional(PackageVersionName),
  format: Type.Optional(PackageFormat),
});

/** Headers that replace missing parameters of the query. */
export const PushHeaders = Type.Object({
  'X-Package-Id': Type.Optional(Type.String({ description: 'The id, when the query has none.' })),
  'X-Package-Version': Type.Optional(Type.String({ description: 'The version, when the query has none.' })),
});

export const ByPackage = Closed({ id: PackageId });
export const ByPackageVersion = Closed({ id: PackageId, version: PackageVersionName });

// Packages of the built-in feed.
import { Type, type Static } from 'typebox';
import { LONGEST_VERSION, PACKAGE_ID_PATTERN } from './patterns.ts';
import { Closed, PageOf, Sha256, Timestamp, Words } from './schema.ts';

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

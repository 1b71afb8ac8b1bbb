// Packages of the built-in feed.
import { Type, type Static } from 'typebox';
import { FILE_NAME_PATTERN, LONGEST_VERSION, PACKAGE_ID_PATTERN } from './patterns.ts';
import { Closed, List, PageOf, Sha256, Slug, Timestamp, Words } from './schema.ts';

export const PackageId = Type.String({ pattern: PACKAGE_ID_PATTERN });
/** As it was pushed; the same version may be asked for in another spelling. */
export const PackageVersionName = Type.String({ minLength: 1, maxLength: LONGEST_VERSION });
/** Formats that are unpacked on a machine. */
export const ARCHIVE_FORMATS = ['tar.gz', 'zip', 'nupkg'] as const;
/** Those that are zips, and used as the one file that they are unless a step says to unpack them. */
export const PLACED_ZIP_FORMATS = ['jar', 'war', 'whl'] as const;
export const PACKAGE_FORMATS = [...ARCHIVE_FORMATS, ...PLACED_ZIP_FORMATS, 'file'] as const;
type ArchiveFormat = (typeof ARCHIVE_FORMATS)[number];
export const PackageFormat = Words(PACKAGE_FORMATS, { $id: 'PackageFormat' });
export type PackageFormat = Static<typeof PackageFormat>;

/** Whether packages of a format are always unpacked on a machine. */
export function isArchive(format: PackageFormat): format is ArchiveFormat {
  return ARCHIVE_FORMATS.some((each) => each === format);
}

export const PushedPackage = Type.Object(
  {
    id: PackageId,
    version: PackageVersionName,
    sha256: Sha256,
    sizeBytes: Type.Integer(),
    format: PackageFormat,
    fileName: Type.Optional(
      Type.String({ description: 'The name that a jar, war, whl or file gets on a machine where it is not unpacked.' }),
    ),
    unpackedBytes: Type.Optional(
      Type.Integer({
        description: 'Of its files when it is unpacked; absent where it cannot be, or was not measured.',
      }),
    ),
    entries: Type.Optional(Type.Integer({ description: 'Its files, folders and links, as with `unpackedBytes`.' })),
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
  fileName: Type.Optional(
    Type.String({
      pattern: FILE_NAME_PATTERN,
      description: 'Of a jar, war, whl or file; `ID.VERSION.FORMAT` when absent, and `ID.VERSION` of a file.',
    }),
  ),
});

/** Headers that replace missing parameters of the query. */
export const PushHeaders = Type.Object({
  'X-Package-Id': Type.Optional(Type.String({ description: 'The id, when the query has none.' })),
  'X-Package-Version': Type.Optional(Type.String({ description: 'The version, when the query has none.' })),
});

export const ByPackage = Closed({ id: PackageId });
export const ByPackageVersion = Closed({ id: PackageId, version: PackageVersionName });

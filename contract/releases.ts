// Releases: each pins a process with its packages and variables.
import { Type, type Static } from 'typebox';
import { PackageVersionName, PushedPackage } from './packages.ts';
import { LONGEST_VERSION } from './patterns.ts';
import { ProcessStep } from './projects.ts';
import { Closed, List, PageOf, Slug, Text, Timestamp } from './schema.ts';

export const PinnedPackage = Type.Object({ step: Slug, ...PushedPackage.properties }, { $id: 'PinnedPackage' });
export type PinnedPackage = Static<typeof PinnedPackage>;

export const ReleaseVersion = Type.String({ minLength: 1, maxLength: LONGEST_VERSION });
export const ByReleaseVersion = Closed({ id: Slug, version: ReleaseVersion });

/** Variables are left out: some are sealed, and the project shows the others. */
export const Release = Type.Object(
  {
    id: Type.String(),
    project: Slug,
    version: ReleaseVersion,
    notes: Type.String(),
    process: List(ProcessStep),
    packages: List(PinnedPackage),
    createdAt: Timestamp,
  },
  { $id: 'Release' },
);
export type Release = Static<typeof Release>;

export const ReleasePage = PageOf(Release, 'ReleasePage');

export const NewRelease = Closed(
  {
    version: ReleaseVersion,
    notes: Type.Optional(Text),
    packages: Type.Optional(
      Type.Record(Type.String({ maxLength: 63 }), PackageVersionName, {
        description: 'The version for each step, by its name; the latest for a step that is missing.',
      }),
    ),
  },
  { $id: 'NewRelease' },
);
export type NewRelease = Static<typeof NewRelease>;

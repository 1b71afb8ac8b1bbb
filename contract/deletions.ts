// What a deletion removes, or would remove: packages, releases and projects.
import { Type, type Static } from 'typebox';
import { PackageId, PackageVersionName } from './packages.ts';
import { Closed, List, Words } from './schema.ts';

export const DeleteQuery = Closed({
  dryRun: Type.Optional(Type.Boolean({ description: 'Answers what would go, and deletes nothing.' })),
});

export const Pruning = Closed(
  {
    keepVersions: Type.Integer({ minimum: 1, maximum: 10_000, description: 'How many versions of each package stay.' }),
    dryRun: Type.Optional(Type.Boolean({ description: 'Answers what would go, and deletes nothing.' })),
  },
  { $id: 'Pruning' },
);

export const DeletedItem = Type.Object(
  {
    kind: Words(['package', 'project', 'release', 'variable']),
    name: Type.String({ description: 'As people name it: `web 1.2.0`.' }),
  },
  { $id: 'DeletedItem' },
);
export type DeletedItem = Static<typeof DeletedItem>;

export const UnusedVersion = Type.Object(
  { id: PackageId, version: PackageVersionName, sizeBytes: Type.Integer() },
  { $id: 'UnusedVersion' },
);
export type UnusedVersion = Static<typeof UnusedVersion>;

export const Deletion = Type.Object(
  {
    dryRun: Type.Boolean({ description: 'Nothing was deleted.' }),
    deleted: List(DeletedItem),
    freedBytes: Type.Integer({ description: 'Of the disk of the server.' }),
    unused: List(UnusedVersion, { description: 'The package versions that no release uses any more. They stay.' }),
  },
  { $id: 'Deletion' },
);
export type Deletion = Static<typeof Deletion>;

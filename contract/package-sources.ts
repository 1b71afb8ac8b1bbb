// Package sources: where machines fetch packages beside the mirrors and the server, or before them.
import { Type, type Static } from 'typebox';
import { PackageId, PackageVersionName } from './packages.ts';
import { Closed, List, Nullable, OneOf, PageOf, Slug, Slugs, Timestamp, Version, Words } from './schema.ts';

const Network = Type.String({ minLength: 2, maxLength: 50, description: 'A network such as 10.1.0.0/16.' });
const Url = Type.String({
  minLength: 1,
  maxLength: 1000,
  description: 'Of each package, with {id}, {version}, {sha256} and {filename}.',
});

const USERS = {
  machines: Type.Optional(Slugs),
  sites: Type.Optional(Slugs),
  networks: Type.Optional(List(Network, { maxItems: 100, uniqueItems: true })),
};

const NewUpstreamSource = Closed(
  { kind: Type.Literal('upstream'), id: Slug, url: Url, ...USERS },
  { $id: 'NewUpstreamSource', description: 'A server outside the mesh, which each machine reaches itself.' },
);
const NewMeshSource = Closed(
  { kind: Type.Literal('mesh'), id: Slug, node: Slug, ...USERS },
  { $id: 'NewMeshSource', description: 'A mirror, or `server`.' },
);
export const NewPackageSource = OneOf('kind', [NewUpstreamSource, NewMeshSource], { $id: 'NewPackageSource' });
export type NewPackageSource = Static<typeof NewPackageSource>;

const SHOWN = {
  id: Slug,
  machines: List(Slug),
  sites: List(Slug),
  networks: List(Network),
  version: Version,
  createdAt: Timestamp,
};
const UpstreamSource = Type.Object({ ...SHOWN, kind: Type.Literal('upstream'), url: Url }, { $id: 'UpstreamSource' });
const MeshSource = Type.Object({ ...SHOWN, kind: Type.Literal('mesh'), node: Slug }, { $id: 'MeshSource' });
export const PackageSource = OneOf('kind', [UpstreamSource, MeshSource], { $id: 'PackageSource' });
export type PackageSource = Static<typeof PackageSource>;
export const PackageSourcePage = PageOf(PackageSource, 'PackageSourcePage');

export const PackageSourceWhy = Words(['machine', 'step', 'site', 'mirror', 'network', 'parent', 'sibling', 'server'], {
  $id: 'PackageSourceWhy',
  description:
    'In the order of preference: named for the machine, by the step or for the site; a mirror of the site; named for ' +
    'the network; a mirror above, or beside, the site; the server.',
});
export type PackageSourceWhy = Static<typeof PackageSourceWhy>;

const ExplainedSource = Type.Object(
  {
    source: Type.String({ description: 'The node, or the id of the package source.' }),
    kind: Words(['mesh', 'upstream', 'pushed']),
    path: List(Slug, { description: 'The relays to cross, next first.' }),
    url: Nullable(Type.String({ description: 'Of an open port, or of the package outside the mesh.' })),
    why: PackageSourceWhy,
    because: Type.String({ description: 'The package source or network that is the reason; else empty.' }),
    bytesPerS: Nullable(Type.Integer({ description: 'As the machine has measured it.' })),
    demotedAt: Nullable(Timestamp),
    demotedCode: Nullable(Type.String()),
    used: Type.Boolean({ description: 'False where the software of the machine is too old for it.' }),
  },
  { $id: 'ExplainedSource' },
);
export type ExplainedSource = Static<typeof ExplainedSource>;

export const SourceExplanation = Type.Object(
  {
    machine: Slug,
    package: PackageId,
    version: PackageVersionName,
    feed: Nullable(Type.String({ description: 'What the step of the project names.' })),
    sources: List(ExplainedSource, { description: 'In the order in which the machine tries them.' }),
  },
  { $id: 'SourceExplanation' },
);
export type SourceExplanation = Static<typeof SourceExplanation>;

export const ExplainQuery = Closed({
  package: PackageId,
  version: Type.Optional(PackageVersionName),
  project: Type.Optional(Slug),
  environment: Type.Optional(Slug),
});

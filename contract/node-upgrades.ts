// Upgrades of the software of nodes: the request. The upgrade itself is a task.
import { Type, type Static } from 'typebox';
import { Closed, List, Slug, Words } from './schema.ts';
import { DeadlineS } from './tasks.ts';

/** The package of the feed that holds the tarballs for an architecture, by version. */
export function softwarePackage(architecture: string): string {
  return `isthmus-linux-${architecture}`;
}

export const NewNodeUpgrade = Closed(
  {
    node: Type.Optional(Slug),
    site: Type.Optional(Slug),
    tarballs: List(Type.String({ minLength: 1, maxLength: 200 }), {
      minItems: 1,
      maxItems: 4,
      uniqueItems: true,
      description:
        'Their names, `isthmus-VERSION-linux-ARCH.tar.gz`: one version, one tarball for each architecture. The feed has ' +
        'each as version VERSION of the package `isthmus-linux-ARCH`.',
    }),
    sums: Type.String({ minLength: 1, maxLength: 65_536, description: 'The text of SHA256SUMS, which lists them.' }),
    signature: Type.String({
      maxLength: 100,
      description: 'Of these sums, in base64; each node checks it against the release keys that its host trusts.',
    }),
    /** The node to upgrade first; if that does not succeed, no other is tried. */
    canary: Type.Optional(Slug),
    atOnce: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 100,
        description: 'Nodes at once, after the first has succeeded; 1 when absent. Relays always go one by one.',
      }),
    ),
    unreachable: Type.Optional(
      Words(['fail', 'skip'], {
        description:
          'What to do with a node that does not answer: it fails, so that no further one is tried, or is left out; ' +
          '`fail` when absent.',
      }),
    ),
    deadlineS: Type.Optional(DeadlineS),
  },
  { $id: 'NewNodeUpgrade', description: 'Of one node, or of all nodes of a site.' },
);
export type NewNodeUpgrade = Static<typeof NewNodeUpgrade>;

// Handles Sources.Find, with which mirrors look up the sources of a digest. Tentacles get theirs in the envelope; one
// that calls Find is denied as if the package did not exist.
import type { PeerIdentity } from '../../certs/peer.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { JOIN_ROLES } from '../../contract/join-tokens.ts';
import type { AsyncHandlers } from '../../lib/grpc/server.ts';
import type { Source } from '../../lib/blobs/source.ts';
import { isSha256 } from '../../lib/blobs/digest.ts';
import type { SourcesHandlers } from '../../proto/gen/isthmus/topology/v1/Sources.ts';
import type { DeltaHints } from '../../proto/gen/isthmus/topology/v1/DeltaHints.ts';
import type { PackageSource } from '../../proto/gen/isthmus/topology/v1/PackageSource.ts';
import type { Feed, FoundSources, SourcesQuery } from './feed.ts';

/** The handler of Find, for the host of the `topology` service. */
export function sourcesFinder(feed: Pick<Feed, 'sources'>): AsyncHandlers<SourcesHandlers, PeerIdentity>['Find'] {
  return ({ request: { sha256 } }, { peer }) => {
    if (!isSha256(sha256)) {
      throw new IsthmusError('INVALID_FIELD', 'a digest is 64 lower-case hex digits', { field: 'sha256' });
    }
    return toMessage(feed.sources(peer.node, sha256, { roles: ['mirror'] }));
  };
}

/** The sources for a node in the form of the wire. */
export function sourcesOf(
  feed: Pick<Feed, 'sources'>,
  node: string,
  sha256: string,
  about: Omit<SourcesQuery, 'roles'> = {},
): Promise<SourcesMessage> {
  return toMessage(feed.sources(node, sha256, { ...about, roles: JOIN_ROLES }));
}

interface SourcesMessage {
  readonly sources: PackageSource[];
  readonly downloadToken: string;
  readonly delta?: DeltaHints | null;
}

async function toMessage(finding: Promise<FoundSources>): Promise<SourcesMessage> {
  const { sources: found, downloadToken, delta } = await finding;
  return { sources: found.map(toPackageSource), downloadToken, delta: delta ?? null };
}

function toPackageSource(source: Source): PackageSource {
  switch (source.kind) {
    case 'mesh':
      return { node: source.node, path: [...source.path], url: source.url ?? '' };
    case 'upstream':
      return { upstream: { id: source.id, url: source.url } };
    case 'pushed':
      return { pushed: true };
  }
}

// The Find call of the Places service: mirrors ask it where a digest is to be had. Tentacles are told in the envelope;
// one that asks by itself hears what it would hear of a package that does not exist.
import type { PeerIdentity } from '../../certs/peer.ts';
import { IsthmusError } from '../../lib/errors.ts';
import type { AsyncHandlers } from '../../lib/grpc/server.ts';
import { isSha256 } from '../../lib/packages/digest.ts';
import type { PlacesHandlers } from '../../proto/gen/isthmus/topology/v1/Places.ts';
import type { Place } from '../../proto/gen/isthmus/topology/v1/Place.ts';
import type { Feed, FoundPlaces } from './feed.ts';

/** The handler of Find, for the host of the `topology` service. */
export function placesFinder(feed: Pick<Feed, 'places'>): AsyncHandlers<PlacesHandlers, PeerIdentity>['Find'] {
  return ({ request: { sha256 } }, { peer }) => {
    if (!isSha256(sha256)) {
      throw new IsthmusError('INVALID_FIELD', 'a digest is 64 lower-case hex digits', { field: 'sha256' });
    }
    return toMessage(feed.places(peer.node, sha256, { roles: ['mirror'] }));
  };
}

/** The places of a machine, as an envelope carries them. */
export function placesOf(feed: Pick<Feed, 'places'>, machine: string, sha256: string): Promise<PlacesMessage> {
  return toMessage(feed.places(machine, sha256, { roles: ['tentacle'] }));
}

interface PlacesMessage {
  readonly places: Place[];
  readonly pass: string;
}

async function toMessage(finding: Promise<FoundPlaces>): Promise<PlacesMessage> {
  const { places, pass } = await finding;
  return { places: places.map(({ node, path, url }) => ({ node, path: [...path], url: url ?? '' })), pass };
}

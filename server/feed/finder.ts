// Answers Places.Find: mirrors ask where a digest is to be had. Tentacles are told in the envelope, and are refused here,
// in the words that what does not exist is refused in.
import type { PeerIdentity } from '../../certs/peer.ts';
import { IsthmusError } from '../../lib/errors.ts';
import type { AsyncHandlers } from '../../lib/grpc/server.ts';
import { isSha256 } from '../../lib/packages/digest.ts';
import type { PlacesHandlers } from '../../proto/gen/isthmus/topology/v1/Places.ts';
import { forbidden, type Feed } from './feed.ts';

/** The handler of Places.Find, for the host of the `topology` service. */
export function placesFinder(feed: Pick<Feed, 'places'>): AsyncHandlers<PlacesHandlers, PeerIdentity>['Find'] {
  return async ({ request }, { peer }) => {
    if (!isSha256(request.sha256)) {
      throw new IsthmusError('INVALID_FIELD', 'a digest is 64 lower-case hex digits', { field: 'sha256' });
    }
    if (peer.role !== 'mirror') throw forbidden();
    return placesOf(feed, peer.node, request.sha256);
  };
}

/** The places of a digest for a node and its pass, as messages say them. */
export async function placesOf(feed: Pick<Feed, 'places'>, node: string, sha256: string) {
  const { places, pass } = await feed.places(node, sha256);
  return { places: places.map((place) => ({ node: place.node, path: [...place.path], url: place.url ?? '' })), pass };
}

// The Places service: mirrors ask it where a digest is to be had. Tentacles are told in the envelope, and are refused.
import type { PeerIdentity } from '../../certs/peer.ts';
import { IsthmusError } from '../../lib/errors.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import type { AsyncHandlers, GrpcHost } from '../../lib/grpc/server.ts';
import { isSha256 } from '../../lib/packages/digest.ts';
import type { PlacesHandlers } from '../../proto/gen/isthmus/topology/v1/Places.ts';
import type { Feed } from './feed.ts';

const definition = loadDefinitions('isthmus/topology/v1/topology.proto').isthmus.topology.v1.Places.service;

/** Registers the Places service on the host of the `topology` service. */
export function addPlacesService(host: GrpcHost<PeerIdentity>, feed: Pick<Feed, 'places'>): void {
  const handlers: AsyncHandlers<PlacesHandlers, PeerIdentity> = {
    Find: ({ request }, { peer }) => {
      if (!isSha256(request.sha256)) {
        throw new IsthmusError('INVALID_FIELD', 'a digest is 64 lower-case hex digits', { field: 'sha256' });
      }
      return feed.places(peer.node, request.sha256).then(({ places, pass }) => ({
        places: places.map(({ node, path, url }) => ({ node, path: [...path], url: url ?? '' })),
        pass,
      }));
    },
  };
  host.add<PlacesHandlers>(definition, handlers, { Find: { roles: ['mirror'] } });
}

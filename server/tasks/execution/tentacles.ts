// The clients with which tasks call tentacles.
import { loadDefinitions } from '../../../lib/grpc/load.ts';
import type { TentacleClient } from '../../../proto/gen/isthmus/tentacle/v1/Tentacle.ts';
import {
  createServiceClients,
  type ClientTunables,
  type Dial,
  type OnSilent,
  type ServiceClients,
} from './service-clients.ts';

const { Tentacle } = loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1;

export type Tentacles = ServiceClients<TentacleClient>;

/** The cache of clients over `dial`. */
export function createTentacles(dial: Dial, tunables?: Partial<ClientTunables>, onSilent?: OnSilent): Tentacles {
  return createServiceClients({ name: 'tentacle', constructor: Tentacle }, dial, tunables, onSilent);
}

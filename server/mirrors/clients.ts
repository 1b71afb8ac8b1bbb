// The clients with which the server calls mirrors.
import { loadDefinitions } from '../../lib/grpc/load.ts';
import {
  createServiceClients,
  type Dial,
  type OnSilent,
  type ServiceClients,
} from '../tasks/execution/service-clients.ts';
import type { MirrorClient } from '../../proto/gen/isthmus/mirror/v1/Mirror.ts';

const { Mirror } = loadDefinitions('isthmus/mirror/v1/mirror.proto').isthmus.mirror.v1;

export type MirrorClients = ServiceClients<MirrorClient>;

/** The cache of clients over `dial`. */
export function createMirrorClients(dial: Dial, onSilent?: OnSilent): MirrorClients {
  return createServiceClients({ name: 'mirror', constructor: Mirror }, dial, {}, onSilent);
}

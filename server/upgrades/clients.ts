// The clients with which upgrades call nodes.
import { loadDefinitions } from '../../lib/grpc/load.ts';
import {
  createServiceClients,
  type ClientTunables,
  type Dial,
  type OnSilent,
  type ServiceClients,
} from '../tasks/execution/service-clients.ts';
import type { UpgradeClient } from '../../proto/gen/isthmus/upgrade/v1/Upgrade.ts';

const { Upgrade } = loadDefinitions('isthmus/upgrade/v1/upgrade.proto').isthmus.upgrade.v1;

export type UpgradeClients = ServiceClients<UpgradeClient>;

/** The cache of clients over `dial`. */
export function createUpgradeClients(
  dial: Dial,
  tunables?: Partial<ClientTunables>,
  onSilent?: OnSilent,
): UpgradeClients {
  return createServiceClients({ name: 'upgrade', constructor: Upgrade }, dial, tunables, onSilent);
}

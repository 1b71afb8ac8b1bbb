// The service table of test meshes: the product's services, and those of tests that carry bytes.
import { MESH_SERVICES } from '../../contract/services.ts';
import type { ServiceRule } from '../../mesh/services.ts';

const fromServer: ServiceRule = { openedBy: ['server'], fromBelowTo: [] };

export const TEST_SERVICES: Readonly<Record<string, ServiceRule>> = {
  ...MESH_SERVICES,
  load: fromServer,
  flood: fromServer,
  closed: { openedBy: [], fromBelowTo: [] },
};

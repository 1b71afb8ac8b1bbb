// What the kind of upgrades needs, for tests that upgrade nothing.
import { createUpgradeClients } from '../../server/upgrades/clients.ts';

export const noUpgrades = {
  upgradeClients: createUpgradeClients(() => Promise.reject(new Error('no test upgrades anything here'))),
  nodes: new Map(),
};

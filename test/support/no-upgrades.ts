// What the kinds of upgrades and warmings need, for tests without either.
import { createUpgradeClients } from '../../server/upgrades/clients.ts';

export const noUpgrades = {
  upgradeClients: createUpgradeClients(() => Promise.reject(new Error('no test upgrades anything here'))),
  nodes: new Map(),
  untilReady: () => Promise.resolve(undefined),
  mirrors: { warm: () => Promise.reject(new Error('no test warms anything here')) },
};

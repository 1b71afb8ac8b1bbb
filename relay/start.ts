// Starts a relay: it forwards tunnels between its parents and its children. It stores no task, no package and no secret
// but its own key. Its assignment is on disk, so that it dials its children even while the server is away.
import { startComponent, type Running } from '../lib/component.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import { startUpkeep, openNode } from '../node/runtime.ts';
import { reachableAt } from '../mesh/link/reachable-address.ts';
import type { RelaySettings } from './config.ts';
import { readAssignment, writeAssignment } from './assignment.ts';

export interface RelayConfig extends RelaySettings {
  readonly dataDir: string;
}

export interface RelayAddresses {
  /** The listening port, as host:port; undefined when the relay only dials. */
  readonly mesh: string | undefined;
}

/** Starts a relay that has joined. */
export function start(config: RelayConfig, { log }: { log: Logger }): Promise<Running<RelayAddresses>> {
  return startComponent(log, async (teardown) => {
    const { dataDir, listen, parents, linkTimeoutS } = config;
    const dials = readAssignment(dataDir);
    const settings = { dataDir, listen, parents, dials, relaying: true, linkTimeoutS };
    const node = await openNode('relay', settings, { log, teardown });
    const { mesh } = node;
    startUpkeep(node, {
      log,
      teardown,
      extra: () => ({ meshAddress: addressForChildren(config, mesh.address) ?? '' }),
      onAssignment(assigned) {
        mesh.assignDials(assigned);
        try {
          writeAssignment(dataDir, assigned);
        } catch (err) {
          // The assignment holds until a restart without the server; a full disk must not end the tunnels.
          log.error({ err }, 'the assignment cannot be written');
        }
      },
    });
    return { mesh: mesh.address };
  });
}

/** The address that the server prints in the join commands of this relay's children. */
function addressForChildren({ address, parents }: RelayConfig, listening: string | undefined): string | undefined {
  if (address !== undefined || listening === undefined) return address;
  // When its parent dials this relay, the server has a working address; a guess would be no better.
  return parents.some((parent) => parent.address !== undefined) ? reachableAt(listening) : undefined;
}

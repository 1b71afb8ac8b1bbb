// A relay: forwards tunnels between its parent's side and its children. It keeps no task, no package and no secret but
// its own key; what it must dial it remembers on disk, so that it goes on dialling while the server is away.
import { IdentityStore } from '../certs/identity.ts';
import { keepRenewed, renewOverMesh } from '../certs/renewal.ts';
import { RevocationList } from '../certs/revocations.ts';
import { lockDataDir } from '../lib/data-lock.ts';
import { IsthmusError } from '../lib/errors.ts';
import type { Running } from '../lib/lifecycle.ts';
import type { Logger } from '../lib/log.ts';
import { softwareVersion } from '../lib/version.ts';
import { createMesh } from '../mesh/mesh.ts';
import { reachableAt } from '../mesh/reachable.ts';
import type { Mesh } from '../mesh/types.ts';
import { reportToServer } from '../mesh/report.ts';
import type { RelaySettings } from './config.ts';
import { readAssignment, writeAssignment } from './assignment.ts';

export interface RelayConfig extends RelaySettings {
  readonly dataDir: string;
}

export interface RelayAddresses {
  /** The one port, as host:port; undefined when the relay only dials. */
  readonly mesh: string | undefined;
}

/** Starts a relay that has joined. */
export async function start(config: RelayConfig, { log }: { log: Logger }): Promise<Running<RelayAddresses>> {
  const { dataDir, listen, parents } = config;
  const identity = await IdentityStore.open(dataDir);
  const { authorityPem, meshId, role } = identity.current();
  if (role !== 'relay') throw new IsthmusError('IDENTITY_INVALID', `the identity in ${dataDir} is that of a ${role}`);
  const lock = lockDataDir(dataDir);
  const mesh = await openMesh().catch((thrown: unknown) => {
    lock.release();
    throw thrown;
  });
  const reports = reportToServer({
    mesh,
    identity,
    log,
    dataDir,
    extra: () => ({ meshAddress: addressForChildren(config, mesh.address) ?? '' }),
    onAssignment(dials) {
      mesh.assignDials(dials);
      try {
        writeAssignment(dataDir, dials);
      } catch (err) {
        // It holds until a restart without the server; a full disk must not take the tunnels with it.
        log.error({ err }, 'what to dial cannot be remembered');
      }
    },
  });
  const renewal = keepRenewed({
    identity,
    log,
    renew: renewOverMesh((signal) =>
      mesh.dial({ node: 'server', service: 'identity', class: 'control', deadlineMs: 20_000, signal }),
    ),
  });
  async function openMesh(): Promise<Mesh> {
    const revocations = await RevocationList.open(dataDir, authorityPem, meshId, log);
    return createMesh(
      { listen, parents, dials: readAssignment(dataDir) },
      { identity, revocations, log, relaying: true, softwareVersion },
    );
  }

  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    renewal.stop();
    await reports.stop();
    await mesh.stop();
    lock.release();
  };
  return { addresses: { mesh: mesh.address }, stop: () => (stopped ??= stop()) };
}

/** What the server prints in the join commands of this relay's children. */
function addressForChildren({ address, parents }: RelayConfig, listening: string | undefined): string | undefined {
  if (address !== undefined || listening === undefined) return address;
  // Of a relay that is dialled, the server knows an address that works; a guess would be no better.
  return parents.some((parent) => parent.address !== undefined) ? reachableAt(listening) : undefined;
}

// The runtime of every node that is not a server: its identity, the lock on its data folder and its mesh. As long as it
// runs it renews its certificate and reports to the server.
import { IDENTITY_SECRETS, IdentityStore } from '../certs/identity.ts';
import { keepRenewed, renewOverMesh } from '../certs/renewal.ts';
import { RevocationList } from '../certs/revocations.ts';
import type { JoinRole } from '../contract/join-tokens.ts';
import { MESH_SERVICES } from '../contract/services.ts';
import { StatusFile } from '../host/status.ts';
import { lockDataDir } from '../lib/files/data-lock.ts';
import { checkDataDir } from '../lib/files/private.ts';
import { IsthmusError } from '../contract/errors.ts';
import type { Teardown } from '../lib/component.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import { SOFTWARE_VERSION } from '../lib/version.ts';
import { linkTimeout } from '../mesh/limits.ts';
import { createMesh } from '../mesh/mesh.ts';
import { Denials } from '../mesh/denials.ts';
import { KeptWindows } from '../mesh/link/kept-windows.ts';
import { ownHost } from './upgrade/host.ts';
import { serveUpgrades } from './upgrade/start.ts';
import type { UpgradeOptions } from './upgrade/upgrade.ts';
import { connectSource } from './sources/connect.ts';
import { reportToServer, type ReportOptions } from './report.ts';
import { collectStartGarbage } from './start-garbage.ts';
import type { DialAssignment, Mesh, ParentConfig } from '../mesh/types.ts';

/** For several hops of slow lines. */
const RENEWAL_DIAL_TIMEOUT_MS = 20_000;

export interface NodeConfig {
  readonly dataDir: string;
  /** host:port of the node's port; without it the node only dials. */
  readonly listen?: string | undefined;
  readonly parents: readonly ParentConfig[];
  /** Relays only: the children to dial, and that it forwards tunnels. */
  readonly dials?: readonly DialAssignment[];
  readonly relaying?: boolean;
  readonly linkTimeoutS?: number | undefined;
}

interface NodeDeps {
  readonly log: Logger;
  readonly teardown: Teardown;
  readonly secrets?: readonly string[];
  readonly deeper?: readonly string[];
}

export interface NodeRuntime {
  readonly role: JoinRole;
  readonly dataDir: string;
  readonly identity: IdentityStore;
  readonly revocations: RevocationList;
  readonly mesh: Mesh;
}

/**
 * Starts the mesh of a joined node. IDENTITY_INVALID for a folder of another role, DATA_DIR_LOCKED for one in use,
 * PERMISSIONS_UNSAFE for one that others can change; `secrets` are what else they may not read in it, `deeper` as in
 * `checkDataDir`.
 */
export async function openNode(
  role: JoinRole,
  { dataDir, listen, parents, dials = [], relaying = false, linkTimeoutS }: NodeConfig,
  { log, teardown, secrets = [], deeper }: NodeDeps,
): Promise<NodeRuntime> {
  checkDataDir(dataDir, [...IDENTITY_SECRETS, ...secrets], { deeper });
  const identity = await IdentityStore.open(dataDir);
  const { node, role: joinedAs, authorityPem, meshId } = identity.current();
  if (joinedAs !== role) throw new IsthmusError('IDENTITY_INVALID', `${node} is a ${joinedAs}, not a ${role}`);
  const lock = lockDataDir(dataDir);
  teardown.add(() => {
    lock.unlock();
  });
  const revocations = await RevocationList.open(dataDir, authorityPem, meshId, log);
  const denials = Denials.open(dataDir, log);
  teardown.add(() => denials.close());
  const windows = KeptWindows.open(dataDir, log);
  teardown.add(() => windows.close());
  const mesh = await createMesh(
    { listen, parents, dials: [...dials] },
    {
      ...{ identity, revocations, log, relaying, softwareVersion: SOFTWARE_VERSION, denials, windows },
      services: MESH_SERVICES,
      limits: linkTimeout(linkTimeoutS),
    },
  );
  teardown.add(() => mesh.stop());
  return { role, dataDir, identity, revocations, mesh };
}

/**
 * Starts renewing the certificate, serving upgrades and reporting to the server. Call it when the node's other services
 * are registered.
 */
export function startUpkeep(
  runtime: NodeRuntime,
  { log, teardown, feedLoopback = false, openCached, ...report }: NodeUpkeep,
): void {
  const { dataDir, identity, mesh, role, revocations } = runtime;
  const access = { mesh, identity, revocations, loopback: feedLoopback };
  serveUpgrades({
    ...{ mesh, role, dataDir, log, teardown, version: SOFTWARE_VERSION, host: ownHost(role, dataDir) },
    connect: (source, signal) => connectSource(source, access, signal),
    openCached,
    onSlowSource: report.abandonedSources?.record,
  });
  const dial = { node: 'server', service: 'identity', class: 'control', deadlineMs: RENEWAL_DIAL_TIMEOUT_MS } as const;
  const renewal = keepRenewed({ identity, log, renew: renewOverMesh((signal) => mesh.dial({ ...dial, signal })) });
  teardown.add(() => renewal.stop());
  const status = new StatusFile({ dataDir, component: role, log });
  teardown.add(() => {
    status.close();
  });
  const reports = reportToServer({ ...report, mesh, identity, status, log, dataDir });
  teardown.add(() => reports.stop());
  teardown.add(collectStartGarbage());
}

interface NodeUpkeep extends Pick<
  ReportOptions,
  'abandonedSources' | 'sourceStates' | 'extra' | 'health' | 'onAssignment'
> {
  /** Of a mirror: opens a package that it has in its cache. */
  readonly openCached?: UpgradeOptions['openCached'];
  /** Whether a source of packages may be on this machine. */
  readonly feedLoopback?: boolean | undefined;
  readonly log: Logger;
  readonly teardown: Teardown;
}

// Starts a tentacle: the agent on a machine. It calls the server for
// nothing but its identity, its packages and to say how it is; the server calls it for everything else.
//
//   service.ts   what a server may ask of it          scripts/   runs scripts, once per ticket
//   health.ts    what it tells of its machine         logs/      their output, masked, numbered, streamed
//   packages/    fetches, unpacks, activates          journal/   what it must never forget
import { IdentityStore } from '../certs/identity.ts';
import type { PeerIdentity } from '../certs/peer.ts';
import { keepRenewed, renewOverMesh } from '../certs/renewal.ts';
import { RevocationList } from '../certs/revocations.ts';
import { verifyEnvelope } from '../certs/signer.ts';
import { inheritedEnvironment } from '../lib/config/environment.ts';
import { lockDataDir } from '../lib/data-lock.ts';
import { IsthmusError } from '../lib/errors.ts';
import { GrpcHost } from '../lib/grpc/server.ts';
import type { Running } from '../lib/lifecycle.ts';
import type { Logger } from '../lib/log.ts';
import { softwareVersion } from '../lib/version.ts';
import { connectFeed } from '../mesh/feeds.ts';
import { createMesh } from '../mesh/mesh.ts';
import { reportToServer } from '../mesh/report.ts';
import type { ParentConfig } from '../mesh/types.ts';
import { HealthReporter } from './health.ts';
import { Journal } from './journal/journal.ts';
import { packageHandlers } from './packages/handlers.ts';
import { createPackages, type Packages } from './packages/packages.ts';
import { ScriptEngine } from './scripts/engine.ts';
import { defaultPath, inheritedNames } from './scripts/environment.ts';
import { resolveScriptUser, type ScriptUser } from './scripts/script-user.ts';
import { addTentacleService, type OpenEnvelope } from './service.ts';

/** Over several hops of slow lines. */
const dialDeadlineMs = 20_000;

export interface TentacleConfig {
  readonly dataDir: string;
  /** host:port where its parent dials it; without it, it only dials. */
  readonly listen?: string | undefined;
  readonly parents: readonly ParentConfig[];
  readonly scriptUser?: string | undefined;
  readonly logQuotaBytes?: number | undefined;
  /** Whether packages may come from an open port on this machine. */
  readonly feedLoopback?: boolean | undefined;
}

export interface TentacleAddresses {
  readonly mesh: string | undefined;
}

/** Starts a tentacle on a data folder that was joined to a mesh. */
export async function start(
  config: TentacleConfig,
  deps: { readonly log: Logger },
): Promise<Running<TentacleAddresses>> {
  const stops: Stops = [];
  const stop = async (): Promise<void> => {
    for (const each of stops.splice(0).reverse()) await each();
  };
  try {
    return { addresses: await startParts(config, deps.log, stops), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Stops = (() => Promise<void> | void)[];

async function startParts(config: TentacleConfig, log: Logger, stops: Stops): Promise<TentacleAddresses> {
  const { dataDir } = config;
  stops.push(closeDebuggerDoor(log));
  const identity = await IdentityStore.open(dataDir);
  const { node, role, authorityPem, meshId } = identity.current();
  if (role !== 'tentacle') throw new IsthmusError('IDENTITY_INVALID', `${node} is a ${role}, not a tentacle`);
  const lock = lockDataDir(dataDir);
  stops.push(() => {
    lock.release();
  });
  const user = await resolveScriptUser(config.scriptUser);
  warnOfScriptUser(user, log);
  const revocations = await RevocationList.open(dataDir, authorityPem, meshId, log);
  const mesh = await createMesh(
    { listen: config.listen, parents: config.parents, dials: [] },
    { identity, revocations, log, relaying: false, softwareVersion },
  );
  stops.push(() => mesh.stop());
  const access = { mesh, identity, revocations, loopback: config.feedLoopback === true };
  const packages = await createPackages({
    dataDir,
    log,
    connect: (place, signal) => connectFeed(place, access, signal),
    owner: user.isolated ? user : undefined,
  });
  stops.push(() => packages.stop());
  const { engine, inherited } = await openEngine(config, { user, packages, log, stops });
  const openEnvelope: OpenEnvelope = (envelope, kind) =>
    verifyEnvelope(envelope, identity.current(), { self: node, kind, revocations });
  const host = new GrpcHost<PeerIdentity>({
    log,
    onError: (error, peer, method) => mesh.refusals.note(error, peer?.node ?? 'unknown', method),
  });
  stops.push(() => host.stop());
  addTentacleService(host, {
    engine,
    openEnvelope,
    health: new HealthReporter({
      ...{ dataDir, softwareVersion, path: inherited['PATH'] ?? defaultPath },
      scriptsIsolated: user.isolated,
      runningScripts: () => engine.runningCount,
      certificateNotAfterMs: () => identity.peer().notAfterMs,
    }),
    packages: packageHandlers({
      packages,
      openEnvelope,
      checkEpoch: (task, epoch) => engine.checkEpoch(task, epoch),
    }),
  });
  mesh.listen('tentacle', { roles: ['server'] }, (stream) => host.accept(stream));
  const dial = { node: 'server', service: 'identity', class: 'control', deadlineMs: dialDeadlineMs } as const;
  const renewal = keepRenewed({ identity, log, renew: renewOverMesh((signal) => mesh.dial({ ...dial, signal })) });
  stops.push(() => renewal.stop());
  const report = reportToServer({ mesh, identity, log, dataDir });
  stops.push(() => report.stop());
  return { mesh: mesh.address };
}

async function openEngine(
  { dataDir, logQuotaBytes }: TentacleConfig,
  { user, packages, log, stops }: { user: ScriptUser; packages: Packages; log: Logger; stops: Stops },
): Promise<{ engine: ScriptEngine; inherited: Readonly<Record<string, string>> }> {
  const journal = await Journal.open(dataDir);
  stops.push(() => journal.close());
  const inherited = inheritedEnvironment(inheritedNames);
  const engine = await ScriptEngine.open({
    ...{ dataDir, journal, user, inherited, log },
    limits: logQuotaBytes === undefined ? {} : { logQuotaBytes },
    applicationFolder: (application, stage) => packages.applicationFolder(application, stage),
  });
  stops.push(() => engine.stop());
  return { engine, inherited };
}

/** Node's own answer to SIGUSR1 is to open its debugger to every local user. */
function closeDebuggerDoor(log: Logger): () => void {
  const ignore = (): void => log.warn('SIGUSR1 ignored');
  process.on('SIGUSR1', ignore);
  return () => process.off('SIGUSR1', ignore);
}

function warnOfScriptUser(user: ScriptUser, log: Logger): void {
  if (user.isolated) return;
  log.warn(
    { user: user.name },
    'SCRIPTS ARE NOT ISOLATED: they run as the user of the tentacle and can read its keys; use --script-user',
  );
}

// Starts a tentacle: the agent on a machine. It calls the server only for its identity, its packages and its status;
// the server calls it for everything else.
//
//   service.ts   the methods that a server may call    scripts/   runs scripts, once per ticket
//   health.ts    the health report of its machine      logs/      their output, masked, numbered, streamed
//   packages/    fetches, unpacks, activates           journal/   what it must never forget
import type { PeerIdentity } from '../certs/peer.ts';
import { verifyEnvelope } from '../certs/signer.ts';
import { inheritedEnv } from '../lib/config/env.ts';
import { GrpcHost } from '../lib/grpc/server.ts';
import { startComponent, type Running, type Teardown } from '../lib/component.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import { SOFTWARE_VERSION } from '../lib/version.ts';
import { AbandonedSources } from '../node/sources/abandoned.ts';
import { connectSource, FEED_SERVICE } from '../node/sources/connect.ts';
import { PushedStreams } from '../node/sources/pushed.ts';
import { startUpkeep, openNode } from '../node/runtime.ts';
import { HealthReporter } from './health.ts';
import { Journal } from './journal/journal.ts';
import { packageHandlers } from './packages/handlers.ts';
import type { TentacleSettings } from './config.ts';
import { OWN_ENTRIES } from './data-folder.ts';
import { createPackages, type Packages } from './packages/packages.ts';
import { UsedTickets } from './packages/used-tickets.ts';
import { Withdrawals } from './packages/withdrawals.ts';
import { ScriptEngine } from './scripts/engine.ts';
import { DEFAULT_PATH } from '../lib/programs.ts';
import { INHERITED_NAMES } from './scripts/launch/script-env.ts';
import { resolveScriptUser, type ScriptUser } from './scripts/launch/script-user.ts';
import { addTentacleService, type OpenEnvelope } from './service.ts';

export interface TentacleConfig extends TentacleSettings {
  readonly dataDir: string;
}

export interface TentacleAddresses {
  readonly mesh: string | undefined;
}

/** The keys beside its identity. */
const SECRETS = ['seal.key', 'packages/stamp.key'];

/** Starts a tentacle on a data folder that has joined a mesh. */
export function start(config: TentacleConfig, { log }: { readonly log: Logger }): Promise<Running<TentacleAddresses>> {
  return startComponent(log, (teardown) => assemble(config, log, teardown));
}

async function assemble(config: TentacleConfig, log: Logger, teardown: Teardown): Promise<TentacleAddresses> {
  const { dataDir } = config;
  teardown.add(ignoreDebuggerSignal(log));
  const user = await resolveScriptUser(config.scriptUser);
  const runtime = await openNode('tentacle', config, { log, teardown, secrets: SECRETS, deeper: OWN_ENTRIES });
  warnWhenNotIsolated(user, log);
  const { identity, revocations, mesh } = runtime;
  const { meshId, node } = identity.current();
  const pushed = new PushedStreams();
  const access = { mesh, identity, revocations, loopback: config.feedLoopback === true, pushed };
  const journal = await Journal.open(dataDir);
  teardown.add(() => journal.close());
  const abandonedSources = new AbandonedSources();
  const packages = await createPackages({
    dataDir,
    log,
    connect: (source, signal) => connectSource(source, access, signal),
    onSlowSource: abandonedSources.record,
    onWrongSource: (source, error) => mesh.denials.record(error, source, FEED_SERVICE),
    owner: user.isolated ? user : undefined,
    installRoots: config.installRoots ?? [],
    tentacle: { mesh: meshId, node },
    hasOpenScript: (task) => journal.hasOpenScript(task),
  });
  teardown.add(() => packages.stop());
  const { engine, inherited } = await openEngine(config, { journal, user, packages, log, teardown });
  const openEnvelope: OpenEnvelope = (envelope, kind) =>
    verifyEnvelope(envelope, identity.current(), { self: node, kind, revocations });
  const host = new GrpcHost<PeerIdentity>({
    log,
    onError: (error, peer, method) => mesh.denials.record(error, peer?.node ?? 'unknown', method),
  });
  teardown.add(() => host.stop());
  const health = new HealthReporter({
    ...{ dataDir, softwareVersion: SOFTWARE_VERSION, path: inherited['PATH'] ?? DEFAULT_PATH },
    scriptsIsolated: user.isolated,
    runningScripts: () => engine.runningCount,
    certificateNotAfterMs: () => identity.peer().notAfterMs,
  });
  const withdrawals = new Withdrawals();
  addTentacleService(host, {
    ...{ engine, openEnvelope, health },
    packages: packageHandlers({
      packages,
      usedTickets: new UsedTickets(journal),
      withdrawals,
      openEnvelope,
      checkEpoch: (task, epoch) => engine.epochs.admit(task, epoch),
    }),
    withdrawPackage: (ticket) => withdrawals.withdraw(ticket),
  });
  mesh.listen('tentacle', (stream) => host.accept(stream));
  mesh.listen('push', (stream) => pushed.accept(stream));
  const upkeep = {
    ...{ abandonedSources, feedLoopback: access.loopback, health: () => health.report() },
    sourceStates: () => packages.sourceStates(),
  };
  startUpkeep(runtime, { log, teardown, ...upkeep });
  return { mesh: mesh.address };
}

async function openEngine(
  { dataDir, logQuotaBytes }: TentacleConfig,
  given: { journal: Journal; user: ScriptUser; packages: Packages; log: Logger; teardown: Teardown },
): Promise<{ engine: ScriptEngine; inherited: Readonly<Record<string, string>> }> {
  const { journal, user, packages, log, teardown } = given;
  const inherited = inheritedEnv(INHERITED_NAMES);
  const engine = await ScriptEngine.open({
    ...{ dataDir, journal, user, inherited, log },
    limits: logQuotaBytes === undefined ? {} : { logQuotaBytes },
    releaseFolder: (installation, task) => packages.releaseFolder(installation, task),
  });
  teardown.add(() => engine.stop());
  return { engine, inherited };
}

/** By default Node opens its debugger to every local user on SIGUSR1. */
function ignoreDebuggerSignal(log: Logger): () => void {
  const ignore = (): void => log.warn('SIGUSR1 ignored');
  process.on('SIGUSR1', ignore);
  return () => process.off('SIGUSR1', ignore);
}

function warnWhenNotIsolated(user: ScriptUser, log: Logger): void {
  if (user.isolated) return;
  log.warn(
    { user: user.name },
    'SCRIPTS ARE NOT ISOLATED: they run as the user of the tentacle and can read its keys; set scriptUser in config.yaml',
  );
}

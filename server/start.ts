// The server: the control plane of a mesh. Map of this folder:
//   start.ts        starts the components in the order of their dependencies, and stops them in reverse
//   task-kinds.ts   the kinds of task and of step
//   store/          the database             access/       API keys
//   topology/       the live view, routes    tasks/        the task engine
//   enrolment/      join, renew, revoke      inventory/    sites, environments, machines
//   projects/       processes, releases      deployments/  plans, step handlers, runs
//   scripts/        ad-hoc scripts           health/       checks, judgement, monitor
//   upgrades/       of the nodes' software   mirrors/      their caches, warming
//   events/         subscriptions, audit     packages/     the feed
//   operations/     init, backup, retention  api/          HTTP
import { logErrorsOf } from '../lib/async/background.ts';
import { authorityPin } from '../certs/authority-signature.ts';
import { openAuthority } from '../certs/authority.ts';
import { IdentityStore } from '../certs/identity.ts';
import { RevocationList } from '../certs/revocations.ts';
import { createSigner, verifyDownloadToken } from '../certs/signer.ts';
import { MESH_SERVICES } from '../contract/services.ts';
import { IsthmusError } from '../contract/errors.ts';
import { StatusFile } from '../host/status.ts';
import { startComponent, type Running, type Teardown } from '../lib/component.ts';
import { lockDataDir } from '../lib/files/data-lock.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import { requireHostPort } from '../lib/net/host-port.ts';
import { openMasterKey } from '../lib/secrets/seal.ts';
import { SOFTWARE_VERSION } from '../lib/version.ts';
import { ping, trace } from '../mesh/echo.ts';
import { linkTimeout } from '../mesh/limits.ts';
import { createMesh } from '../mesh/mesh.ts';
import { KeptWindows } from '../mesh/link/kept-windows.ts';
import { reachableAt } from '../mesh/link/reachable-address.ts';
import type { Mesh, MeshStream } from '../mesh/types.ts';
import { createApi } from './api/app.ts';
import type { ApiInstance, ApiServices } from './api/context.ts';
import { certificateFor, followCertificate, serverOptionsFor, type ApiTlsConfig } from './api/port/certificate.ts';
import { listen } from './api/port/listen.ts';
import { startAdminSocket } from './operations/admin-socket.ts';
import { adminRequests } from './operations/local-requests.ts';
import { checkServerFolder } from './data-folder.ts';
import { installedReleasesSubscription } from './deployments/installed.ts';
import { startEnrolment, type EnrolmentServices } from './enrolment/start.ts';
import { NodeStartPolicy } from './enrolment/starts.ts';
import { EventSubscriptions } from './events/subscriptions.ts';
import { createFeed, type Feed } from './packages/feed.ts';
import { startPackageRetention } from './packages/retention.ts';
import type { FindSources } from './tasks/execution/package-ticket.ts';
import { offerFeed } from './packages/offer.ts';
import { sourcesFinder, sourcesOf } from './packages/source-finder.ts';
import { clearBackups } from './operations/clean-up.ts';
import { HEALTH_CHECK_INTERVAL_S } from './config.ts';
import { ReportedHealth } from './health/reported-health.ts';
import { startHealth, type PeriodicHealth } from './health/start.ts';
import { startRetention } from './operations/retention.ts';
import { LAST_MIGRATION } from './store/migrations/migrate.ts';
import { openStore } from './store/store.ts';
import { stepHandlers, taskKinds } from './task-kinds.ts';
import type { SignEnvelope } from './tasks/execution/envelopes.ts';
import type { Dial, OnSilent } from './tasks/execution/service-clients.ts';
import { startTasks, type Tasks } from './tasks/start.ts';
import { openLiveTopology, type LiveTopology } from './topology/live.ts';
import { createMirrorClients } from './mirrors/clients.ts';
import { Mirrors } from './mirrors/mirrors.ts';
import { startProtection } from './mirrors/protection.ts';
import { readinessWaiter } from './mirrors/readiness.ts';
import { warmSubscription } from './mirrors/automatic.ts';
import { createUpgradeClients } from './upgrades/clients.ts';
import { createRouteResolver, dispatchRoutes, type RouteResolver } from './topology/route-resolver.ts';
import { startTopology, type TopologyServices } from './topology/start.ts';

export interface ServerConfig {
  readonly dataDir: string;
  readonly mesh: {
    readonly listen: string;
    readonly address?: string | undefined;
    readonly linkTimeoutS?: number | undefined;
  };
  readonly api: {
    readonly listen: string;
    readonly trustedProxies?: readonly string[] | undefined;
  } & ApiTlsConfig;
  readonly healthCheckIntervalS?: number | undefined;
  readonly cancelTimeoutS?: number | undefined;
  readonly masterKeyFile?: string | undefined;
  readonly logQuotaBytes?: number | undefined;
  readonly keepPackageVersions?: number | undefined;
  readonly retentionDays?: number | undefined;
}

export interface ServerAddresses {
  /** Where nodes connect to, as host:port. */
  readonly mesh: string;
  /** Where the API listens, as host:port. */
  readonly api: string;
  /** The URL of the API. */
  readonly apiUrl: string;
}

/** The time for one hop of a probe: opening the tunnel and its round trips. */
const PROBE_DEADLINE_MS = 10_000;

/** Starts a server on a folder that `initialise` created. A failed start leaves nothing running. */
export function start(config: ServerConfig, { log }: { log: Logger }): Promise<Running<ServerAddresses>> {
  return startComponent(log, (teardown) => assemble(config, log, teardown));
}

async function assemble(config: ServerConfig, log: Logger, teardown: Teardown): Promise<ServerAddresses> {
  const { dataDir } = config;
  checkServerFolder(dataDir);
  // Checks come before anything is opened, so that nothing changes in a folder with the wrong key.
  const sealer = openMasterKey({ dataDir, keyFile: config.masterKeyFile });
  const authority = openAuthority(dataDir, sealer);
  const identity = await IdentityStore.open(dataDir);
  const { node, role, meshId, authorityPem } = identity.current();
  if (role !== 'server' || meshId !== authority.meshId) {
    throw new IsthmusError(
      'IDENTITY_INVALID',
      `the identity in ${dataDir} is not that of a server of ${authority.meshId}`,
    );
  }
  const apiListen = requireHostPort(config.api.listen, 'api.listen', 'CONFIG_INVALID');
  const certificate = certificateFor(apiListen, config.api, identity, log);

  const lock = lockDataDir(dataDir);
  teardown.add(() => lock.unlock());
  const store = await openStore({ dataDir, log });
  teardown.add(() => store.close());
  await clearBackups(dataDir);
  teardown.add(await startAdminSocket(dataDir, adminRequests(dataDir, store), log));

  const revocations = await RevocationList.open(dataDir, authorityPem, meshId, log);
  const topology = await openLiveTopology(store);
  const routes = createRouteResolver(topology);
  const reported = new ReportedHealth({ topology, resolver: routes });
  const starts = new NodeStartPolicy({ store, topology });
  const resolvePath = (destination: string) => pathTo(routes, destination);
  const windows = KeptWindows.open(dataDir, log);
  teardown.add(() => windows.close());
  const mesh = await createMesh(
    { listen: config.mesh.listen, parents: [], dials: [] },
    {
      ...{
        identity,
        revocations,
        log,
        relaying: true,
        softwareVersion: SOFTWARE_VERSION,
        resolvePath,
        starts,
        windows,
      },
      services: MESH_SERVICES,
      limits: linkTimeout(config.mesh.linkTimeoutS),
    },
  );
  teardown.add(() => mesh.stop());
  teardown.add(topology.followLinks(mesh));
  teardown.add(starts.follow(mesh));

  const signer = createSigner(authority, node);
  const trust = { authorityPem, meshId };
  const feed = await createFeed({
    store,
    topology,
    dataDir,
    log,
    signDownloadToken: (downloadToken) => signer.signDownloadToken(downloadToken),
    verifyDownloadToken: (downloadToken, requested) => verifyDownloadToken(downloadToken, trust, requested),
  });
  mesh.listen('feed', (stream) => {
    feed.serve(stream);
  });
  teardown.add(() => feed.stop());

  const events = new EventSubscriptions({ store, log });
  events.subscribe('installed-releases', installedReleasesSubscription);
  const serverAddress = config.mesh.address ?? (mesh.address === undefined ? undefined : reachableAt(mesh.address));
  const enrolment = await startEnrolment({
    ...{ store, topology, events, authority, sealer, identity, revocations, mesh, log, serverAddress },
  });
  teardown.add(() => enrolment.stop());
  const topologyService = await startTopology({
    ...{ store, topology, identity, mesh, log, serverAddress },
    joins: enrolment.joins,
    findSources: sourcesFinder(feed),
    onHealth: (machine, health) => reported.take(machine, health),
  });
  teardown.add(() => topologyService.stop());

  const steps = stepHandlers();
  const dial: Dial = (options) => mesh.dial(options);
  const onSilent: OnSilent = (node, path) => routes.fell(node, path);
  const upgradeClients = createUpgradeClients(dial, {}, onSilent);
  teardown.add(() => upgradeClients.close());
  const sign: SignEnvelope = (content) => signer.signEnvelope(content);
  const routesOf = dispatchRoutes(routes);
  const mirrorClients = createMirrorClients(dial, onSilent);
  teardown.add(() => mirrorClients.close());
  const mirrors = new Mirrors({ topology, clients: mirrorClients, routesOf, sign });
  teardown.add(startProtection({ store, mirrors, mirrorsOf: (machine) => feed.mirrorsOf(machine), log }));
  events.subscribe('warming', warmSubscription(mirrors));
  const untilReady = readinessWaiter({ mirrors, store });
  const serve = (stream: MeshStream) => feed.serve(stream);
  const findSources: FindSources = async (node, sha256, about) => ({
    ...(await sourcesOf(feed, node, sha256, about)),
    ...(about?.push === true ? { offer: (signal) => offerFeed(mesh.dial.bind(mesh), serve, node, signal) } : {}),
  });
  const kindDeps = { store, sealer, steps, findSources, upgradeClients, nodes: topology.nodes, mirrors, untilReady };
  const kinds = taskKinds(kindDeps);
  const tasks = startTasks({
    store,
    kinds,
    dial,
    sign,
    routesOf,
    journalGeneration: (machine) => topology.nodes.get(machine)?.journalGeneration ?? 0,
    onSilent,
    log,
    nodeId: node,
    logQuotaBytes: config.logQuotaBytes,
    cancelTimeoutS: config.cancelTimeoutS,
  });
  teardown.add(() => tasks.stop());
  const health = startHealth({
    ...{ store, topology, events, reported, log, shared: tasks.shared },
    intervalS: config.healthCheckIntervalS ?? HEALTH_CHECK_INTERVAL_S,
  });
  teardown.add(() => health.stop());
  await events.start();
  teardown.add(() => events.stop());

  const stopping = new AbortController();
  const context = { store, log, sealer, kinds, steps, nodeId: node, meshId, stopping: stopping.signal };
  const services = apiServices({
    mesh,
    mirrors,
    feed,
    events,
    topology,
    routes,
    enrolment,
    topologyService,
    tasks,
    health,
  });
  const app = await createApi(
    { ...context, services },
    // Behind a proxy that is not trusted, one guesser of keys would use up the limit of all its clients.
    { ...serverOptionsFor(certificate), trustProxy: [...(config.api.trustedProxies ?? [])] },
  );
  teardown.add(() => stopApi(app, stopping));
  const unfollow = followCertificate(app, certificate);
  teardown.add(unfollow);
  teardown.add(startPackageRetention({ feed, keepVersions: config.keepPackageVersions, log }));
  teardown.add(startRetention({ store, log, retentionDays: config.retentionDays }));
  const api = await listen(app, apiListen);
  logErrorsOf(app.server, 'api.listener', log);
  const apiUrl = `${app.listeningOrigin.startsWith('https') ? 'https' : 'http'}://${api}`;
  const status = new StatusFile({ dataDir, component: 'server', schema: LAST_MIGRATION, log });
  teardown.add(() => {
    status.close();
  });
  status.connected();
  log.info({ node, pin: authorityPin(authorityPem) }, 'the server is up');
  return { mesh: mesh.address ?? config.mesh.listen, api, apiUrl };
}

/** Ends streams first: closing waits for them. */
async function stopApi(app: ApiInstance, stopping: AbortController): Promise<void> {
  stopping.abort();
  await app.close();
}

/** The relays to cross to a node when the caller names no path. */
function pathTo(routes: RouteResolver, destination: string): readonly string[] {
  const [best] = routes.resolve(destination).paths;
  if (best === undefined) throw new IsthmusError('NO_ROUTE', `no path leads to ${destination}`, { hop: destination });
  return best.relays;
}

interface Components {
  readonly mesh: Mesh;
  readonly mirrors: Mirrors;
  readonly feed: Feed;
  readonly events: EventSubscriptions;
  readonly topology: LiveTopology;
  readonly routes: RouteResolver;
  readonly enrolment: EnrolmentServices;
  readonly topologyService: TopologyServices;
  readonly tasks: Tasks;
  readonly health: PeriodicHealth;
}

function apiServices({
  mesh,
  mirrors,
  feed,
  events,
  topology,
  routes,
  enrolment,
  topologyService,
  tasks,
  health,
}: Components): ApiServices {
  return {
    topology,
    routes,
    mirrors,
    trace: (node: string, path: readonly string[]) => trace(mesh, { node, path, deadlineMs: PROBE_DEADLINE_MS }),
    ping: async (node: string, path: readonly string[], count: number) => {
      const { roundTripsMs } = await ping(mesh, { node, path, deadlineMs: PROBE_DEADLINE_MS }, count);
      return roundTripsMs;
    },
    createToken: enrolment.createToken.bind(enrolment),
    revokeNode: enrolment.revokeNode.bind(enrolment),
    reactivateNode: enrolment.reactivateNode.bind(enrolment),
    setParents: topologyService.setParents.bind(topologyService),
    eventSubscriptions: events.status.bind(events),
    pushPackage: feed.push.bind(feed),
    packageVersions: feed.versions.bind(feed),
    findPackage: feed.find.bind(feed),
    deletePackage: feed.delete.bind(feed),
    prunePackages: feed.prune.bind(feed),
    openPackage: (sha256: string) => feed.download(sha256),
    explainSources: feed.explain.bind(feed),
    healthChecks: () => health.status(),
    wake: () => {
      tasks.wake();
    },
  };
}

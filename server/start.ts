// The server: the control plane of a mesh. Map of this folder:
//   start.ts        puts the parts together, in the order they need each other, and takes them apart in reverse
//   housekeeping.ts forgets what is old
//   initialise.ts   makes a data folder; backup.ts, backup-cipher.ts, control.ts keep it
//   store/          what is durable          access/       API keys
//   topology/       nodes, routes, joining   tasks/        the task engine
//   deployments/    projects to deployments  feed/         packages        api/   HTTP
import { authorityPin } from '../certs/authority-signature.ts';
import { openAuthority } from '../certs/authority.ts';
import { IdentityStore } from '../certs/identity.ts';
import { RevocationList } from '../certs/revocations.ts';
import { createSigner, verifyPass } from '../certs/signer.ts';
import { IsthmusError } from '../lib/errors.ts';
import { startPart, type Running, type Teardown } from '../lib/lifecycle.ts';
import type { Logger } from '../lib/log.ts';
import { openMasterKey } from '../lib/seal.ts';
import { softwareVersion } from '../lib/version.ts';
import { ping, trace } from '../mesh/echo.ts';
import { linkTimeout } from '../mesh/limits.ts';
import { createMesh } from '../mesh/mesh.ts';
import type { Mesh } from '../mesh/types.ts';
import { createApi } from './api/app.ts';
import type { ApiInstance } from './api/context.ts';
import { certificateFor, followCertificate, serverOptionsFor, type ApiTlsConfig } from './api/certificate.ts';
import { listen, parseListen } from './api/listen.ts';
import { startControl } from './control.ts';
import { deploymentRunner } from './deployments/run.ts';
import { trustedProxies } from './api/proxies.ts';
import { createFeed, type Feed } from './feed/feed.ts';
import { placesFinder, placesOf } from './feed/finder.ts';
import { clearBackups } from './leftovers.ts';
import { startHousekeeping } from './housekeeping.ts';
import { openStore, type Store } from './store/store.ts';
import { startTasks, type Tasks } from './tasks/start.ts';
import { createCheapestPaths } from './topology/cheapest.ts';
import { liveFirst, waysDown } from './topology/routes.ts';
import { startTopology, type TopologyServices } from './topology/start.ts';
import { readTopology } from './topology/topology.ts';

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
  readonly retentionDays?: number | undefined;
}

export interface ServerAddresses {
  /** Where nodes connect to, as host:port. */
  readonly mesh: string;
  /** Where the API listens, as host:port. */
  readonly api: string;
  /** Where the API is, as a URL. */
  readonly apiUrl: string;
}

/** For one hop of a probe: opening the tunnel and its round trips. */
const PROBE_DEADLINE_MS = 10_000;

/** Starts a server on a folder that `initialise` made. What fails to start leaves nothing running. */
export function start(config: ServerConfig, { log }: { log: Logger }): Promise<Running<ServerAddresses>> {
  return startPart(log, (teardown) => assemble(config, log, teardown));
}

async function assemble(config: ServerConfig, log: Logger, teardown: Teardown): Promise<ServerAddresses> {
  const { dataDir } = config;
  // What can be refused is refused before anything is opened: nothing changes in a folder with the wrong key.
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
  const apiListen = parseListen(config.api.listen, 'api.listen');
  const certificate = certificateFor(apiListen, config.api, identity, log);

  const store = await openStore({ dataDir, log });
  teardown.add(() => store.close());
  await clearBackups(dataDir);
  teardown.add(await startControl(dataDir, { copyTo: (file) => store.copyTo(file), log }));

  const revocations = await RevocationList.open(dataDir, authorityPem, meshId, log);
  const resolvePath = (destination: string) => pathTo(store, destination);
  const mesh = await createMesh(
    { listen: config.mesh.listen, parents: [], dials: [] },
    {
      ...{ identity, revocations, log, relaying: true, softwareVersion, resolvePath },
      limits: linkTimeout(config.mesh.linkTimeoutS),
    },
  );
  teardown.add(() => mesh.stop());

  const signer = createSigner(authority, node);
  const trust = { authorityPem, meshId };
  const feed = await createFeed({
    store,
    dataDir,
    log,
    signPass: (pass) => signer.signPass(pass),
    verifyPass: (pass, asked) => verifyPass(pass, trust, asked),
  });
  mesh.listen('feed', { roles: ['mirror', 'tentacle', 'server'] }, (stream) => {
    feed.serve(stream);
  });
  teardown.add(() => {
    feed.stop();
  });

  const topology = await startTopology({
    ...{ store, authority, sealer, identity, revocations, mesh, log },
    findPlaces: placesFinder(feed),
    advertise: config.mesh.address,
  });
  teardown.add(() => topology.stop());

  const tasks = startTasks({
    store,
    dial: (options) => mesh.dial(options),
    sign: (content) => signer.signEnvelope(content),
    autoPaths: createCheapestPaths(() => readTopology(store, mesh)),
    deploymentRunner: (deps) =>
      deploymentRunner({ ...deps, store, sealer, findPlaces: (machine, sha256) => placesOf(feed, machine, sha256) }),
    log,
    nodeId: node,
    healthCheckIntervalS: config.healthCheckIntervalS,
    logQuotaBytes: config.logQuotaBytes,
    cancelTimeoutS: config.cancelTimeoutS,
  });
  teardown.add(() => tasks.stop());

  const stopping = new AbortController();
  const context = { store, log, sealer, nodeId: node, meshId, stopping: stopping.signal };
  const services = apiServices({ mesh, feed, topology, tasks });
  const app = await createApi(
    { ...context, services },
    { ...serverOptionsFor(certificate), trustProxy: trustedProxies(config.api.trustedProxies) },
  );
  teardown.add(() => stopApi(app, stopping));
  const unfollow = followCertificate(app, certificate);
  teardown.add(unfollow);
  teardown.add(startHousekeeping({ store, log, retentionDays: config.retentionDays }));
  const api = await listen(app, apiListen);
  const apiUrl = `${app.listeningOrigin.startsWith('https') ? 'https' : 'http'}://${api}`;
  log.info({ node, pin: authorityPin(authorityPem) }, 'serves the mesh');
  return { mesh: mesh.address ?? config.mesh.listen, api, apiUrl };
}

/** Streams end first, or closing would wait for them. */
async function stopApi(app: ApiInstance, stopping: AbortController): Promise<void> {
  stopping.abort();
  await app.close();
}

/** The relays to cross to a node, by its preferred parents whose links are up, for whoever names no path. */
async function pathTo(store: Store, destination: string): Promise<readonly string[]> {
  const topology = await readTopology(store, undefined);
  const node = topology.nodes.get(destination);
  if (node === undefined) throw new IsthmusError('NOT_FOUND', `there is no node ${destination}`);
  return liveFirst(waysDown({ node: destination, parents: node.parents }, topology), destination, topology)[0] ?? [];
}

interface Parts {
  readonly mesh: Mesh;
  readonly feed: Feed;
  readonly topology: TopologyServices;
  readonly tasks: Tasks;
}

function apiServices({ mesh, feed, topology, tasks }: Parts) {
  return {
    mesh,
    trace: (node: string, path: readonly string[]) => trace(mesh, { node, path, deadlineMs: PROBE_DEADLINE_MS }),
    ping: async (node: string, path: readonly string[], count: number) => {
      const { roundTripsMs } = await ping(mesh, { node, path, deadlineMs: PROBE_DEADLINE_MS }, count);
      return roundTripsMs;
    },
    createToken: topology.createToken.bind(topology),
    revokeNode: topology.revokeNode.bind(topology),
    setParents: topology.setParents.bind(topology),
    pushPackage: feed.push.bind(feed),
    packageVersions: feed.versions.bind(feed),
    findPackage: feed.find.bind(feed),
    openPackage: (sha256: string) => feed.download(sha256),
    wake: () => {
      tasks.wake();
    },
  };
}

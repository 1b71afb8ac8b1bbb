// Tells the server what this node sees of the mesh and whom it refused, and hears from it which children to dial and
// which parents to have: one stream for as long as the path lives, opened again with jitter when it breaks. Every part
// below the server runs one.
import { statfs } from 'node:fs/promises';
import type { IdentityStore } from '../certs/identity.ts';
import { backoffMs } from '../lib/async/backoff.ts';
import { grpcClient } from '../lib/grpc/client.ts';
import { loadDefinitions } from '../lib/grpc/load.ts';
import { IsthmusError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import { softwareVersion } from '../lib/version.ts';
import type { Assignment__Output } from '../proto/gen/isthmus/topology/v1/Assignment.ts';
import type { LinkReport } from '../proto/gen/isthmus/topology/v1/LinkReport.ts';
import type { NodeReport } from '../proto/gen/isthmus/topology/v1/NodeReport.ts';
import type { TopologyClient } from '../proto/gen/isthmus/topology/v1/Topology.ts';
import { Parents } from './parents.ts';
import type { DialAssignment, LinkStatus, Mesh } from './types.ts';

const types = loadDefinitions('isthmus/topology/v1/topology.proto').isthmus.topology.v1;

const everyMs = 5_000;
/** A link that flaps must not flood the server. */
const atMostEveryMs = 1_000;
const openMs = 15_000;
const backoff = { baseMs: 200, capMs: 10_000 };
/** A stream that lasted this long starts the backoff over. */
const stableMs = 20_000;

export interface ReportOptions {
  readonly mesh: Mesh;
  readonly identity: IdentityStore;
  readonly log: Logger;
  /** Whose disk is told about. */
  readonly dataDir: string;
  /** What this part adds: a mirror's feed URL and cached bytes, a relay's address. */
  readonly extra?: () => Pick<NodeReport, 'feedUrl' | 'cachedBytes' | 'meshAddress'>;
  /** Told the children to dial, whenever the server says so. */
  readonly onAssignment?: (dials: readonly DialAssignment[]) => void;
}

interface Reporting extends ReportOptions {
  readonly parents: Parents;
  readonly load: Load;
}

/** Reports to the server until stopped. */
export function reportToServer(options: ReportOptions): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const parents = new Parents(options);
  const load = new Load(options.dataDir);
  const running = keepReporting({ ...options, parents, load }, stopping.signal);
  return {
    async stop() {
      stopping.abort();
      await running;
      await parents.stop();
    },
  };
}

async function keepReporting(options: Reporting, stopping: AbortSignal): Promise<void> {
  let failures = 0;
  for (;;) {
    if (!isLinked(options.mesh)) await pause(undefined, stopping, options.mesh);
    if (stopping.aborted) return;
    const startedAtMs = Date.now();
    const ended = await reportOnce(options, stopping);
    if (stopping.aborted) return;
    options.log.debug({ code: ended.code, err: ended.message }, 'reporting to the server was interrupted');
    failures = Date.now() - startedAtMs > stableMs ? 0 : failures + 1;
    await pause(backoffMs(failures, backoff), stopping, options.mesh);
  }
}

/** One stream, from dialling to its end, which is always some error. */
async function reportOnce(options: Reporting, stopping: AbortSignal): Promise<IsthmusError> {
  const { mesh, parents } = options;
  const client = grpcClient<TopologyClient>(
    types.Topology,
    (signal) => mesh.dial({ node: 'server', service: 'topology', class: 'control', deadlineMs: openMs, signal }),
    { hop: 'server' },
  );
  const close = (): void => client.close();
  stopping.addEventListener('abort', close, { once: true });
  try {
    const call = (await client.ready()).watch();
    const ended = new Promise<IsthmusError>((resolve) => {
      call.on('error', (error: unknown) => resolve(client.errorOf(error)));
      call.on('end', () => resolve(new IsthmusError('UNREACHABLE', 'the server ended the stream', { hop: 'server' })));
    });
    call.on('data', (assignment: Assignment__Output) => {
      options.onAssignment?.(assignment.dial);
      parents.assign(assignment);
    });
    const pace = new Pace(async () => {
      call.write(await makeReport(options));
    });
    const unwatch = mesh.onLinksChanged(() => pace.soon());
    const forget = mesh.refusals.onNoted(() => pace.soon());
    const unhear = parents.onChange(() => pace.soon());
    try {
      return await ended;
    } finally {
      unwatch();
      forget();
      unhear();
      pace.stop();
    }
  } catch (thrown) {
    return IsthmusError.from(thrown, 'UNREACHABLE');
  } finally {
    stopping.removeEventListener('abort', close);
    client.close();
  }
}

async function makeReport({ mesh, identity, parents, load, extra }: Reporting): Promise<NodeReport> {
  return {
    softwareVersion,
    links: mesh.links().map(toLinkReport),
    ...(await load.read()),
    certificateNotAfterMs: identity.peer().notAfterMs,
    refusals: [...mesh.refusals.latest()],
    ...parents.facts(),
    listens: mesh.address !== undefined,
    ...extra?.(),
  };
}

function toLinkReport(link: LinkStatus): LinkReport {
  return {
    peer: link.peer,
    peerRole: link.peerRole ?? '',
    relation: link.relation,
    up: link.up,
    roundTripMs: link.roundTripMs ?? 0,
    bytesIn: link.bytesIn,
    bytesOut: link.bytesOut,
    upSinceMs: link.upSinceMs ?? 0,
    tunnels: link.tunnels,
    lastErrorCode: link.lastErrorCode ?? '',
    dialledBy: link.dialledBy,
    address: link.address ?? '',
  };
}

/** How busy this process is. */
class Load {
  readonly #dataDir: string;
  #cpu = process.cpuUsage();
  #atMs = performance.now();

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  async read(): Promise<Pick<NodeReport, 'memoryRssBytes' | 'cpuShare' | 'diskFreeBytes'>> {
    const [before, cpu, now] = [this.#cpu, process.cpuUsage(), performance.now()];
    const usedMs = (cpu.user + cpu.system - before.user - before.system) / 1000;
    const cpuShare = usedMs / Math.max(1, now - this.#atMs);
    this.#cpu = cpu;
    this.#atMs = now;
    const disk = await statfs(this.#dataDir).catch(() => undefined);
    return {
      memoryRssBytes: process.memoryUsage.rss(),
      cpuShare,
      diskFreeBytes: disk === undefined ? 0 : disk.bavail * disk.bsize,
    };
  }
}

/** Calls `send` at once, then every few seconds, sooner when asked, never too often. */
class Pace {
  readonly #send: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #lastMs = 0;
  #stopped = false;

  constructor(send: () => Promise<void>) {
    this.#send = send;
    this.#turn();
  }

  soon(): void {
    this.#schedule(Math.max(0, this.#lastMs + atMostEveryMs - Date.now()));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #turn(): void {
    this.#lastMs = Date.now();
    void this.#send().then(() => this.#schedule(everyMs));
  }

  #schedule(ms: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#turn(), ms);
  }
}

/** Whether there is a link by which the server may be reached. */
function isLinked(mesh: Mesh): boolean {
  return mesh.links().some((link) => link.relation === 'parent' && link.up);
}

/** Waits so long (undefined: for ever), but not after a link came up: the way to the server may be open again. */
function pause(ms: number | undefined, stopping: AbortSignal, mesh: Mesh): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      unwatch();
      stopping.removeEventListener('abort', done);
      resolve();
    };
    const timer = ms === undefined ? undefined : setTimeout(done, ms);
    const unwatch = mesh.onLinksChanged(() => {
      if (isLinked(mesh)) done();
    });
    stopping.addEventListener('abort', done, { once: true });
    if (stopping.aborted) done();
  });
}

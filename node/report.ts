// Reports to the server: links, load, health, denials and parents go up; the children to dial and the desired parents
// come back. It is one stream, reopened with jitter when it breaks.
import { statfs } from 'node:fs/promises';
import { attempted } from '../lib/async/background.ts';
import type { IdentityStore } from '../certs/identity.ts';
import { backoffMs } from '../lib/async/backoff.ts';
import { grpcClient } from '../lib/grpc/client.ts';
import { loadDefinitions } from '../lib/grpc/load.ts';
import { IsthmusError } from '../contract/errors.ts';
import type { SourceState } from '../lib/blobs/source-states.ts';
import type { StatusFile } from '../host/status.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import { SOFTWARE_VERSION } from '../lib/version.ts';
import type { HealthReport } from '../proto/gen/isthmus/health/v1/HealthReport.ts';
import type { Assignment__Output } from '../proto/gen/isthmus/topology/v1/Assignment.ts';
import type { LinkReport } from '../proto/gen/isthmus/topology/v1/LinkReport.ts';
import type { NodeReport } from '../proto/gen/isthmus/topology/v1/NodeReport.ts';
import type { TopologyClient } from '../proto/gen/isthmus/topology/v1/Topology.ts';
import type { AbandonedSources } from './sources/abandoned.ts';
import { OwnAddresses } from './own-addresses.ts';
import { Reparenting } from './reparenting.ts';
import type { DialAssignment, LinkStatus, Mesh } from '../mesh/types.ts';
import { pauseUntil, type PauseLimits } from '../lib/async/waiting.ts';

const types = loadDefinitions('isthmus/topology/v1/topology.proto').isthmus.topology.v1;

const INTERVAL_MS = 5_000;
/** Between two looks at why no link is up. */
const UNLINKED_MS = 1_000;
/** A flapping link must not flood the server. */
const MIN_INTERVAL_MS = 1_000;
/** Well below the time for which a server takes what it was told for the present health. */
const HEALTH_INTERVAL_MS = 15_000;
const OPEN_TIMEOUT_MS = 12_000;
const BACKOFF = { baseMs: 200, capMs: 10_000 };
/** A stream that lasted this long resets the back-off. */
const STABLE_MS = 20_000;

export interface ReportOptions {
  readonly mesh: Mesh;
  readonly identity: IdentityStore;
  readonly log: Logger;
  /** Its disk is reported. */
  readonly dataDir: string;
  /** Where this node says whether it is connected. */
  readonly status?: StatusFile;
  /** Further facts: a mirror's feed URL and cache, a relay's address. */
  readonly extra?: () => Pick<NodeReport, 'feedUrl' | 'cachedBytes' | 'meshAddress' | 'cache'>;
  /** Of a node that fetches packages. */
  readonly abandonedSources?: AbandonedSources;
  readonly sourceStates?: () => readonly SourceState[];
  /** Of a tentacle: measures its machine. */
  readonly health?: () => Promise<HealthReport>;
  /** Called with the children to dial, whenever the server assigns some. */
  readonly onAssignment?: (dials: readonly DialAssignment[]) => void;
}

interface Reporting extends ReportOptions {
  readonly reparenting: Reparenting;
  readonly load: Load;
  readonly addresses: OwnAddresses;
}

/** Reports to the server until stopped. */
export function reportToServer(options: ReportOptions): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const reparenting = new Reparenting(options);
  const load = new Load(options.dataDir);
  const addresses = new OwnAddresses();
  const running = keepReporting({ ...options, reparenting, load, addresses }, stopping.signal);
  return {
    async stop() {
      stopping.abort();
      await running;
      await reparenting.stop();
    },
  };
}

async function keepReporting(options: Reporting, stopping: AbortSignal): Promise<void> {
  let failures = 0;
  let isDenied = false;
  for (;;) {
    while (!isLinked(options.mesh) && !stopping.aborted) {
      tellUnlinked(options);
      await linked(options.mesh, { ms: UNLINKED_MS, signals: [stopping] });
    }
    if (stopping.aborted) return;
    const startedMs = performance.now();
    const ended = await reportOnce(options, stopping, () => {
      isDenied = false;
      options.status?.connected();
    });
    if (stopping.aborted) return;
    options.status?.disconnected(ended);
    const facts = { code: ended.code, err: ended.message };
    if (ended.code === 'NODE_CLONED') {
      // Once, however often it is denied.
      leave(options, ended, isDenied ? 'debug' : 'error');
      isDenied = true;
    } else options.log.debug(facts, 'reporting to the server was interrupted');
    failures = performance.now() - startedMs > STABLE_MS ? 0 : failures + 1;
    await linked(options.mesh, { ms: backoffMs(failures, BACKOFF), signals: [stopping] });
  }
}

/** Says why no parent is linked, once one has been tried. */
function tellUnlinked({ mesh, status }: Reporting): void {
  const failed = mesh.links().find((link) => link.relation === 'parent' && link.lastErrorCode !== undefined);
  if (failed?.lastErrorCode === undefined) return;
  const { peer, address, lastErrorCode: code } = failed;
  const at = address === undefined ? '' : ` at ${address}`;
  status?.disconnected({ code, message: `no link to the parent ${peer}${at}` });
}

/** Another process acts as this node. Its links would stand in the way of the other's, if that one is let in. */
function leave({ mesh, log }: Reporting, error: IsthmusError, level: 'debug' | 'error'): void {
  log[level]({ code: error.code, err: error.message, remedy: error.remedy }, 'this process may not act as its node');
  mesh.endParentLinks(error);
}

/** Runs one stream until it ends; returns why. An answer of the server's means that it admits this process. */
async function reportOnce(options: Reporting, stopping: AbortSignal, onAdmitted: () => void): Promise<IsthmusError> {
  const { mesh, reparenting } = options;
  const client = grpcClient<TopologyClient>(
    types.Topology,
    (signal) =>
      mesh.dial({ node: 'server', service: 'topology', class: 'control', deadlineMs: OPEN_TIMEOUT_MS, signal }),
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
      onAdmitted();
      try {
        options.onAssignment?.(assignment.dial);
        reparenting.assign(assignment);
      } catch (err) {
        options.log.error({ err }, 'an assignment failed; asking for it again');
        call.cancel();
      }
    });
    const measure = atIntervals(HEALTH_INTERVAL_MS, options.health);
    const timer = new ReportTimer(async () => {
      const [report, health] = await Promise.all([makeReport(options), measure()]);
      call.write({ ...report, health });
    }, options.log);
    const unwatch = mesh.onLinksChanged(() => timer.soon());
    const stopDenials = mesh.denials.onRecorded(() => timer.soon());
    const stopReparenting = reparenting.onChange(() => timer.soon());
    const stopAbandoned = options.abandonedSources?.onRecorded(() => timer.soon());
    try {
      return await ended;
    } finally {
      unwatch();
      stopDenials();
      stopReparenting();
      stopAbandoned?.();
      timer.stop();
    }
  } catch (thrown) {
    return IsthmusError.from(thrown, 'UNREACHABLE');
  } finally {
    stopping.removeEventListener('abort', close);
    client.close();
  }
}

async function makeReport({
  mesh,
  identity,
  reparenting,
  load,
  addresses,
  extra,
  abandonedSources,
  sourceStates,
}: Reporting): Promise<NodeReport> {
  return {
    softwareVersion: SOFTWARE_VERSION,
    links: mesh.links().map(toLinkReport),
    ...(await load.read()),
    certificateNotAfterMs: identity.peer().notAfterMs,
    denials: mesh.denials.latest().map(({ deniedStart = null, ...denial }) => ({ ...denial, deniedStart })),
    abandonedSources: [...(abandonedSources?.latest() ?? [])],
    sourceStates: [...(sourceStates?.() ?? [])],
    addresses: addresses.current(),
    ...reparenting.facts(),
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

/**
 * What `measure` finds, once an interval; null in between, and when it fails: then the server asks by a call, which
 * says why.
 */
function atIntervals<Result>(ms: number, measure?: () => Promise<Result>): () => Promise<Result | null> {
  let lastMs = -Infinity;
  return async () => {
    if (measure === undefined || performance.now() - lastMs < ms) return null;
    lastMs = performance.now();
    return measure().catch(() => null);
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
      memoryRssBytes: rssBytes(),
      cpuShare,
      diskFreeBytes: disk === undefined ? 0 : disk.bavail * disk.bsize,
    };
  }
}

/** 0 where it cannot be read: it is read from a file in /proc, which needs a descriptor. */
function rssBytes(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return 0;
  }
}

/** Calls `send` at once, then at an interval, and sooner on request, but never too often. */
class ReportTimer {
  readonly #send: () => Promise<void>;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #lastMs = 0;
  #stopped = false;

  constructor(send: () => Promise<void>, log: Logger) {
    this.#send = send;
    this.#log = log;
    this.#run();
  }

  soon(): void {
    this.#schedule(Math.max(0, this.#lastMs + MIN_INTERVAL_MS - performance.now()));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #run(): void {
    this.#lastMs = performance.now();
    const next = (): void => this.#schedule(INTERVAL_MS);
    attempted('node.report', this.#log, this.#send).then(next, next);
  }

  #schedule(ms: number): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), ms);
  }
}

/** Whether a link to a parent is up. */
function isLinked(mesh: Mesh): boolean {
  return mesh.links().some((link) => link.relation === 'parent' && link.up);
}

/** Waits until a link changes and one to a parent is up: the server may be reachable again. */
function linked(mesh: Mesh, limits: PauseLimits): Promise<void> {
  return pauseUntil((wake) => {
    return mesh.onLinksChanged(() => {
      if (isLinked(mesh)) wake();
    });
  }, limits);
}

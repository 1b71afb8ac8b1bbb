// Judges a health check: a machine's facts against thresholds, or a path that failed. Pure. "Relay down" is not
// "machine down": the hop at which the path broke is part of the result.
import { SKEW_MS } from '../../certs/signer.ts';
import type { IsthmusError } from '../../contract/errors.ts';
import type { Health, HealthReason, HealthSource, Thresholds } from '../../contract/machines.ts';
import { DAY_MS } from '../../lib/time.ts';
import type { HealthReport__Output } from '../../proto/gen/isthmus/health/v1/HealthReport.ts';
import type { FixedRoute } from '../store/inventory/routes.ts';

export interface MachineHealth {
  readonly health: Exclude<Health, 'unknown'>;
  readonly by: HealthSource;
  readonly reasons: readonly HealthReason[];
  /** The hop at which the path failed; the machine itself when the path was open but it did not answer. */
  readonly hop?: string;
  readonly route?: FixedRoute;
  readonly roundTripMs?: number;
  readonly clockSkewMs?: number;
  readonly facts?: HealthReport__Output;
}

/** What a machine said of itself, when it was called or by its own. */
export interface HealthAnswer {
  readonly by: HealthSource;
  /** Bounded: it is stored. */
  readonly report: HealthReport__Output;
  readonly route: FixedRoute;
  readonly sentAtMs: number;
  readonly answeredAtMs: number;
  /** Preferred routes that failed before this one answered. */
  readonly failed: readonly { readonly route: FixedRoute; readonly error: IsthmusError }[];
}

const BYTES_PER_MIB = 1024 * 1024;

/** A check warns beyond these, unless the machine has thresholds of its own. */
const DEFAULT_THRESHOLDS: Required<Thresholds> = {
  diskFreeBytes: 512 * BYTES_PER_MIB,
  memoryFreeBytes: 64 * BYTES_PER_MIB,
  // A busy machine is normal; four runnable processes per core for a minute are not.
  loadPerCpu: 4,
  clockSkewMs: 60_000,
  // Certificates last 7 days and renew with about 2.3 left: one day left means that renewal does not work.
  certificateDays: 1,
};
/** A large disk is nearly full with less than this share free. */
const DISK_FREE_SHARE = 0.05;
/** Below this nothing can be unpacked or logged. */
const DISK_UNUSABLE_BYTES = 32 * BYTES_PER_MIB;
/** Beyond this skew tentacles reject envelopes. */
const CLOCK_UNUSABLE_MS = SKEW_MS;

/** The health of a machine that answered. */
export function judgeAnswer(answer: HealthAnswer, thresholds: Thresholds | null): MachineHealth {
  const { by, report, sentAtMs, answeredAtMs } = answer;
  const limits = { ...DEFAULT_THRESHOLDS, ...thresholds };
  const roundTripMs = answeredAtMs - sentAtMs;
  const clockSkewMs = Math.round(report.tentacleTimeMs - (sentAtMs + answeredAtMs) / 2);
  const reasons = [
    ...judgeRoutes(answer),
    ...judgeDisk(report, limits),
    ...judgeMemory(report, limits),
    ...judgeLoad(report, limits),
    ...judgeClock(Math.max(0, Math.abs(clockSkewMs) - roundTripMs / 2), clockSkewMs, limits),
    ...judgeCertificate(report, answeredAtMs, limits),
  ];
  const unhealthy = reasons.some(({ severity }) => severity === 'unhealthy');
  const health = unhealthy ? 'unhealthy' : reasons.length > 0 ? 'warning' : 'healthy';
  return { health, by, reasons, route: answer.route, roundTripMs, clockSkewMs, facts: report };
}

/** The health of a machine that no route reached, with the hop at which the preferred route failed. */
export function judgeFailure(
  machine: string,
  errors: readonly { route: FixedRoute; error: IsthmusError }[],
): MachineHealth {
  const reasons = errors.map(({ route, error }): HealthReason => {
    const hop = error.hop ?? machine;
    const where =
      hop === machine
        ? `machine ${machine} does not answer`
        : `the path fails at ${hop}; nothing is known of the machine`;
    const text = `${describeRoute(route)}: ${where} (${error.message})`;
    return { what: hop === machine ? 'machine' : 'path', severity: 'unreachable', text, hop, code: error.code };
  });
  const hop = reasons[0]?.hop ?? machine;
  const none: HealthReason = { what: 'route', severity: 'unreachable', text: 'the machine has no route', hop: machine };
  return { health: 'unreachable', by: 'call', reasons: reasons.length === 0 ? [none] : reasons, hop };
}

/** A route as it is displayed. */
export function describeRoute(route: FixedRoute): string {
  return route.kind === 'direct' ? 'direct' : `via ${route.via.join(' → ')}`;
}

function judgeRoutes({ failed, route }: HealthAnswer): HealthReason[] {
  return failed.map(({ route: preferred, error }) => ({
    what: 'route',
    severity: 'warning',
    text: `${describeRoute(preferred)} fails (${error.message}); reached ${describeRoute(route)}`,
    code: error.code,
    ...(error.hop === undefined ? {} : { hop: error.hop }),
  }));
}

function judgeDisk(
  { diskFreeBytes, diskTotalBytes }: HealthReport__Output,
  limits: Required<Thresholds>,
): HealthReason[] {
  if (diskTotalBytes === 0) return [];
  const text = `${size(diskFreeBytes)} of ${size(diskTotalBytes)} of disk free`;
  if (diskFreeBytes < DISK_UNUSABLE_BYTES) return [{ what: 'disk', severity: 'unhealthy', text }];
  const low = diskFreeBytes < limits.diskFreeBytes || diskFreeBytes < diskTotalBytes * DISK_FREE_SHARE;
  return low ? [{ what: 'disk', severity: 'warning', text }] : [];
}

function judgeMemory(report: HealthReport__Output, limits: Required<Thresholds>): HealthReason[] {
  const { memoryFreeBytes, memoryTotalBytes } = report;
  if (memoryTotalBytes === 0 || memoryFreeBytes >= limits.memoryFreeBytes) return [];
  return [{ what: 'memory', severity: 'warning', text: `${size(memoryFreeBytes)} of memory free` }];
}

function judgeLoad({ load_1m, cpus }: HealthReport__Output, limits: Required<Thresholds>): HealthReason[] {
  if (load_1m <= limits.loadPerCpu * Math.max(1, cpus)) return [];
  return [{ what: 'load', severity: 'warning', text: `load ${load_1m.toFixed(1)} on ${cpus} cores` }];
}

function judgeClock(certainMs: number, skewMs: number, limits: Required<Thresholds>): HealthReason[] {
  const text = `the clock is ${Math.abs(skewMs / 1000).toFixed(1)} s ${skewMs < 0 ? 'behind' : 'ahead of'} the server's`;
  if (certainMs > CLOCK_UNUSABLE_MS) return [{ what: 'clock', severity: 'unhealthy', text }];
  return certainMs > limits.clockSkewMs ? [{ what: 'clock', severity: 'warning', text }] : [];
}

function judgeCertificate(report: HealthReport__Output, nowMs: number, limits: Required<Thresholds>): HealthReason[] {
  if (report.certificateNotAfterMs === 0) return [];
  const days = (report.certificateNotAfterMs - nowMs) / DAY_MS;
  if (days >= limits.certificateDays) return [];
  const text = `the certificate ends in ${days.toFixed(1)} days; its renewal does not seem to work`;
  return [{ what: 'certificate', severity: days <= 0 ? 'unhealthy' : 'warning', text }];
}

function size(bytes: number): string {
  return bytes >= 1024 * BYTES_PER_MIB
    ? `${(bytes / 1024 / BYTES_PER_MIB).toFixed(1)} GiB`
    : `${Math.round(bytes / BYTES_PER_MIB)} MiB`;
}

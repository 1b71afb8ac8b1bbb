// Watches services after a change of their version: whether they are at least as well as before, and why not.
import type { ErrorCode } from '../../contract/errors.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { pause } from '../../lib/async/waiting.ts';
import type { ServiceBefore } from './journal.ts';
import type { HostServices } from './services.ts';

/** A version whose process has ended by itself so often does not start. */
const MOST_CRASHES = 3;

export interface WatchTimes {
  readonly pollMs: number;
  /** All services must have been well for so long: what ends right after its start is not. */
  readonly steadyMs: number;
}

export const WATCH_TIMES: WatchTimes = { pollMs: 500, steadyMs: 3_000 };

/** Why a version is not kept. */
export interface Failure {
  /** Of the catalogue, or the one that a component gave itself. */
  readonly code: ErrorCode;
  readonly message: string;
}

interface Watching {
  readonly services: readonly ServiceBefore[];
  readonly version: string;
  readonly withinMs: number;
  readonly times: WatchTimes;
  /** Whether whoever must confirm the version has done so. */
  readonly isConfirmed: () => boolean;
  /** Told of what waiting may mend, once while it lasts. */
  readonly onComplaint: (failure: Failure) => void;
  readonly signal: AbortSignal;
}

/** What is wrong with a service now. */
interface Complaint extends Failure {
  /** Waiting does not help. */
  readonly isFinal?: boolean;
}

/**
 * Undefined as soon as every service is as well with `version` as before, and the version is confirmed; else why it was
 * not within the time, at once where waiting does not help. CANCELLED once `signal` aborts.
 */
export async function watch(host: HostServices, watching: Watching): Promise<Failure | undefined> {
  const { services, version, withinMs, times, isConfirmed, onComplaint, signal } = watching;
  const begunMs = performance.now();
  let wellSinceMs: number | undefined;
  let told: string | undefined;
  for (;;) {
    const nowMs = performance.now();
    const found = await Promise.all(services.map((service) => complaintAbout(host, service, version)));
    const complaint = found.find((each) => each?.isFinal === true) ?? found.find((each) => each !== undefined);
    if (complaint?.isFinal === true) return complaint;
    if (complaint !== undefined && complaint.message !== told) onComplaint(complaint);
    told = complaint?.message;
    wellSinceMs = complaint === undefined ? (wellSinceMs ?? nowMs) : undefined;
    const isSteady = services.length === 0 || (wellSinceMs !== undefined && nowMs - wellSinceMs >= times.steadyMs);
    if (isSteady && isConfirmed()) return undefined;
    if (signal.aborted) return { code: 'CANCELLED', message: `it was stopped before ${version} was confirmed` };
    if (nowMs - begunMs >= withinMs) return complaint ?? unconfirmed(version, withinMs);
    await pause(times.pollMs, signal);
  }
}

/** The failure of a service that cannot start, with what its component said last. */
export async function startFailure(host: HostServices, role: NodeRole, what: string): Promise<Complaint> {
  const last = await host.lastError(role);
  const why = last === undefined ? '' : `: ${last.message} (${last.code})`;
  return { code: 'UPGRADE_START_FAILED', message: `the ${role} ${what}${why}`, isFinal: true };
}

async function complaintAbout(
  host: HostServices,
  { role, connected }: ServiceBefore,
  version: string,
): Promise<Complaint | undefined> {
  const { pid, crashes, hasFailed, status } = await host.state(role);
  if (hasFailed || crashes >= MOST_CRASHES) return startFailure(host, role, `of ${version} does not start`);
  const isOwn = status !== undefined && status.pid === pid && status.version === version;
  if (!isOwn || status.state === 'starting') {
    return { code: 'UPGRADE_START_FAILED', message: `the ${role} of ${version} has not started` };
  }
  if (status.state === 'connected' || !connected) return undefined;
  const why = status.code === undefined ? '' : `: ${status.detail ?? ''} (${status.code})`;
  return { code: 'UPGRADE_NOT_CONNECTED', message: `the ${role} of ${version} is not connected${why}` };
}

function unconfirmed(version: string, withinMs: number): Failure {
  const message = `the services of ${version} run, but nobody confirmed within ${withinMs / 1000} s that it works`;
  return { code: 'UPGRADE_NOT_CONFIRMED', message };
}

// The checks of `join` before it enrols, in the order in which things usually fail. Each check gives one result, so
// that the operator sees how far it got.
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect } from 'node:net';
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import { within } from '../../lib/async/deadline.ts';

export type CheckName = 'port' | 'address' | 'tcp' | 'proxy' | 'pin' | 'clock' | 'enrol' | 'mesh' | 'confirm';

export interface CheckResult {
  readonly check: CheckName;
  /** 'warning': the join goes on, but there may be trouble later. */
  readonly outcome: 'ok' | 'warning' | 'failed';
  readonly detail: string;
  readonly remedy?: string;
}

/** HTTP_PROXY and the like, as lib/config reads them from the environment variables. */
export interface ProxyEnv {
  readonly proxy?: string | undefined;
  readonly noProxy?: string | undefined;
}

const TCP_LIMIT_MS = 10_000;
/** With more skew, certificates look expired or not yet valid to one side. */
const MAX_SKEW_MS = 5 * 60_000;

/** The port of a parent, where a join starts. */
export interface JoinTarget {
  readonly host: string;
  readonly port: number;
  /** As the operator wrote it: host:port. */
  readonly hop: string;
}

/** Resolves the host of an address. JOIN_DNS when that fails. */
export async function checkAddress({ host, hop }: Pick<JoinTarget, 'host' | 'hop'>): Promise<CheckResult> {
  try {
    const found = await lookup(host, { all: true });
    return { check: 'address', outcome: 'ok', detail: `${host} is ${found.map(({ address }) => address).join(', ')}` };
  } catch (cause) {
    throw new IsthmusError('JOIN_DNS', `the name ${host} does not resolve (${errno(cause)})`, { hop, cause });
  }
}

/** Opens and closes a TCP connection. JOIN_TCP when that fails; JOIN_PROXY when a proxy is configured, too. */
export async function checkTcp({ host, port, hop }: JoinTarget, proxies: ProxyEnv): Promise<CheckResult> {
  const started = performance.now();
  const late = (): Error => new Error(`no answer within ${TCP_LIMIT_MS / 1000} s`);
  const socket = connect({ host, port });
  const reason = await within(once(socket, 'connect'), { ms: TCP_LIMIT_MS, late }).then(() => undefined, errno);
  socket.destroy();
  if (reason === undefined) {
    const tookMs = Math.round(performance.now() - started);
    return { check: 'tcp', outcome: 'ok', detail: `${hop} answers in ${tookMs} ms` };
  }
  const code: ErrorCode = proxies.proxy !== undefined ? 'JOIN_PROXY' : 'JOIN_TCP';
  const hint = proxies.proxy === undefined ? '' : '; a proxy is configured, but the mesh does not use HTTP proxies';
  throw new IsthmusError(code, `no connection to ${hop}: ${reason}${hint}`, { hop });
}

/** Warns of a configured proxy: the mesh never uses it, and the operator may think that it does. */
export function checkProxy(host: string, { proxy, noProxy = '' }: ProxyEnv): CheckResult {
  if (proxy === undefined) return { check: 'proxy', outcome: 'ok', detail: 'no proxy is configured' };
  const exempt = noProxy.split(',').some((entry) => {
    const suffix = entry.trim().replace(/^\*?\./, '');
    return suffix !== '' && (suffix === '*' || host === suffix || host.endsWith(`.${suffix}`));
  });
  if (exempt) return { check: 'proxy', outcome: 'ok', detail: `a proxy is configured, but not for ${host}` };
  return {
    check: 'proxy',
    outcome: 'warning',
    detail: 'a proxy is configured; the mesh does not use it and connects directly',
    remedy: `Add ${host} to NO_PROXY, or unset the proxy variables for this service.`,
  };
}

/** Compares the clocks at the middle of a round trip. CLOCK_SKEW when they differ too much. */
export function checkClock(serverTimeMs: number, sentAtMs: number, answeredAtMs: number): CheckResult {
  const hereMs = (sentAtMs + answeredAtMs) / 2;
  const skewMs = hereMs - serverTimeMs;
  const times = `the server says ${new Date(serverTimeMs).toISOString()}, this machine ${new Date(hereMs).toISOString()}`;
  if (Math.abs(skewMs) > MAX_SKEW_MS) throw new IsthmusError('CLOCK_SKEW', times);
  return { check: 'clock', outcome: 'ok', detail: `${(Math.abs(skewMs) / 1000).toFixed(1)} s apart` };
}

function errno(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.message;
}

// Makes a component a service of this host: account, data folder, unit; then waits until it is connected. Every step can
// be done again, so that the same command mends what another left half done.
import { IsthmusError } from '../../contract/errors.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { findUser } from '../../lib/accounts.ts';
import { pause } from '../../lib/async/waiting.ts';
import { ensureAccount, requireAccount, SCRIPT_ACCOUNT, SERVICE_ACCOUNT } from './accounts.ts';
import { giveDataFolder, makeDataFolder } from './data-folder.ts';
import { requireServices, requireSoftware } from './requirements.ts';
import { isConnected, reasonOf, serviceOf, type Service, type ServiceHost } from './service.ts';
import { whatItSaid, type Systemd } from './systemd.ts';
import {
  installedRoles,
  limitScripts,
  linkUnit,
  requireUnitFree,
  unitOf,
  UPGRADER_PATH,
  UPGRADER_UNITS,
} from './units.ts';
import { uninstallService } from './uninstall.ts';

const POLL_MS = 200;

export interface InstallOptions {
  readonly role: NodeRole;
  /** Of a tentacle: the account of its scripts, which exists unless it is the default one. */
  readonly scriptUser?: string | undefined;
  /** Of a tentacle: whether its scripts may do what the unit denies; left out, that stays as it is. */
  readonly scriptsMayChangeSystem?: boolean | undefined;
  /** Its settings have changed since it was started. */
  readonly isChanged: boolean;
  /** How long to wait until it is connected. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
}

/**
 * Throws where this machine can have no such service, and changes nothing: NOT_ROOT, SERVICE_UNSUPPORTED, FILE_UNUSABLE
 * for another unit of its name, SCRIPT_USER_UNKNOWN.
 */
export async function requireInstallable(
  { layout, systemd }: ServiceHost,
  { role, scriptUser = SCRIPT_ACCOUNT }: Pick<InstallOptions, 'role' | 'scriptUser'>,
): Promise<void> {
  requireServices(systemd);
  requireSoftware(layout, role);
  for (const unit of [unitOf(role), ...UPGRADER_UNITS]) requireUnitFree(layout, unit);
  if (role !== 'tentacle') await requireAccount(SERVICE_ACCOUNT);
  else if (scriptUser === SCRIPT_ACCOUNT) await requireAccount(SCRIPT_ACCOUNT);
  else if ((await findUser(scriptUser)) === undefined) {
    throw new IsthmusError('SCRIPT_USER_UNKNOWN', `there is no user "${scriptUser}" on this machine`);
  }
}

/**
 * Installs and starts a service; resolves once it is connected. SERVICE_START_FAILED, with the component's own error,
 * when it ends instead: then a service that was not installed before is taken away again. SERVICE_NOT_CONNECTED when it
 * runs and is not connected in time: it stays and goes on trying.
 */
export async function installService(host: ServiceHost, options: InstallOptions): Promise<Service> {
  const { layout, systemd } = host;
  const { role, scriptsMayChangeSystem: mayChange } = options;
  const unit = unitOf(role);
  await requireInstallable(host, options);
  await prepare(host, options);
  const isFirst = !installedRoles(layout).includes(role);
  const isLimited = mayChange !== undefined && limitScripts(layout, !mayChange);
  const isLinked = linkUnit(layout, unit);
  for (const each of UPGRADER_UNITS) linkUnit(layout, each);
  await systemd.reload();
  const isRunning = (await systemd.state(unit)).active === 'active';
  const sinceMs = Date.now();
  try {
    await startUpgrader(systemd);
    if (!isRunning || options.isChanged || isLimited || isLinked) await start(host, role, sinceMs);
    return await connected(host, options, sinceMs);
  } catch (thrown) {
    const error = IsthmusError.from(thrown);
    if (isFirst && error.code === 'SERVICE_START_FAILED') await uninstallService(host, role);
    throw error;
  }
}

async function prepare({ layout }: ServiceHost, { role, scriptUser = SCRIPT_ACCOUNT }: InstallOptions): Promise<void> {
  const dataDir = layout.dataDir(role);
  makeDataFolder(dataDir);
  if (role !== 'tentacle') giveDataFolder(dataDir, await ensureAccount(SERVICE_ACCOUNT));
  else if (scriptUser === SCRIPT_ACCOUNT) await ensureAccount(SCRIPT_ACCOUNT);
}

async function startUpgrader(systemd: Systemd): Promise<void> {
  await systemd.start(UPGRADER_PATH).catch((cause: unknown) => {
    const message = `${UPGRADER_PATH} cannot be started: ${whatItSaid(cause)}`;
    throw new IsthmusError('SERVICE_START_FAILED', message, { remedy: seeJournal(UPGRADER_PATH), cause });
  });
}

async function start(host: ServiceHost, role: NodeRole, sinceMs: number): Promise<void> {
  await host.systemd.restart(unitOf(role)).catch(async (cause: unknown) => {
    throw await startFailed(host, role, { sinceMs, cause });
  });
}

async function connected(host: ServiceHost, options: InstallOptions, sinceMs: number): Promise<Service> {
  const { role, waitMs, signal } = options;
  const { crashes } = await host.systemd.state(unitOf(role));
  const begunMs = performance.now();
  for (;;) {
    const service = await serviceOf(host, role);
    if (isConnected(service)) return service;
    if (service.hasEnded || service.crashes > crashes) throw await startFailed(host, role, { sinceMs });
    if (signal.aborted)
      throw new IsthmusError('CANCELLED', `the service of the ${role} is installed, and not connected yet`);
    if (performance.now() - begunMs >= waitMs) throw await notConnected(host, service);
    await pause(POLL_MS, signal);
  }
}

interface FailedStart {
  readonly sinceMs: number;
  readonly cause?: unknown;
}

async function startFailed(
  { systemd }: ServiceHost,
  role: NodeRole,
  { sinceMs, cause }: FailedStart,
): Promise<IsthmusError> {
  const unit = unitOf(role);
  const last = await systemd.lastError(unit, { sinceMs });
  const code = last === undefined || last.code === 'SERVICE_START_FAILED' ? '' : ` (${last.code})`;
  const why = last === undefined ? '' : `: ${last.message}${code}`;
  const remedy = last?.remedy ?? seeJournal(unit);
  return new IsthmusError('SERVICE_START_FAILED', `${unit} does not stay up${why}`, { remedy, cause });
}

function seeJournal(unit: string): string {
  return `See what its journal says: \`journalctl -u ${unit}\`.`;
}

async function notConnected(host: ServiceHost, service: Service): Promise<IsthmusError> {
  const reason = await reasonOf(host, service);
  const why = reason === undefined ? '' : `: ${reason.message} (${reason.code})`;
  return new IsthmusError('SERVICE_NOT_CONNECTED', `${service.unit} runs, and is not connected yet${why}`);
}

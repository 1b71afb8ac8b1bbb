// `isthmus service …`: components as services of this machine, under systemd.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { IsthmusError } from '../../contract/errors.ts';
import { NODE_ROLES, type NodeRole } from '../../contract/nodes.ts';
import { SCRIPT_ACCOUNT } from '../../host/services/accounts.ts';
import { installService, requireInstallable } from '../../host/services/install.ts';
import { requireServices, requireSystemd } from '../../host/services/requirements.ts';
import { reasonOf, serviceOf, thisHost, type Reason, type Service } from '../../host/services/service.ts';
import { isStatusHidden } from '../../host/status.ts';
import { uninstallService } from '../../host/services/uninstall.ts';
import { installedRoles, unitOf } from '../../host/services/units.ts';
import { asOwnerOf } from '../../lib/files/as-owner.ts';
import { permissionsOf, writeDurably } from '../../lib/files/durable.ts';
import { scriptUserIn, settingsWithScriptUser } from '../../node/settings.ts';
import { examples, type Cli } from '../cli.ts';
import { renderTable } from '../render/table.ts';
import { moment } from '../render/units.ts';
import { confirm } from '../terminal.ts';
import { duration } from '../values.ts';
import { requireNode } from './start.ts';

const WAIT_S = 60;

/** What `service install` and `join --service` take of a service. */
export interface ServiceOptions {
  readonly scriptUser?: string | undefined;
  readonly scriptsMayChangeSystem?: boolean | undefined;
  readonly wait?: number;
}

interface RoleOptions {
  readonly role: NodeRole;
}

/** Throws what would keep a service from being installed, before anything is changed. */
export async function requireServiceOf(
  role: NodeRole,
  { scriptUser, scriptsMayChangeSystem }: ServiceOptions,
): Promise<void> {
  if (role !== 'tentacle' && (scriptUser !== undefined || scriptsMayChangeSystem !== undefined)) {
    throw new IsthmusError('USAGE', `a ${role} runs no scripts`);
  }
  const host = thisHost();
  await requireInstallable(host, { role, scriptUser: scriptUserOf(host.layout.dataDir(role), role, scriptUser) });
}

/** The account for scripts: the one that is given, else what the settings name, else one of its own. */
function scriptUserOf(dataDir: string, role: NodeRole, given: string | undefined): string | undefined {
  return role === 'tentacle' ? (given ?? scriptUserIn(dataDir) ?? SCRIPT_ACCOUNT) : undefined;
}

/** Installs the service of a role whose data folder is ready; resolves once it is connected. */
export async function runAsService(cli: Cli, role: NodeRole, options: ServiceOptions): Promise<Service> {
  await requireServiceOf(role, options);
  const host = thisHost();
  const dataDir = host.layout.dataDir(role);
  await asOwnerOf(dataDir, () => requireNode(dataDir, role));
  const { scriptsMayChangeSystem, wait = WAIT_S } = options;
  const scriptUser = scriptUserOf(dataDir, role, options.scriptUser);
  const isChanged = scriptUser !== undefined && setScriptUser(dataDir, scriptUser);
  return installService(host, {
    ...{ role, scriptsMayChangeSystem, scriptUser, isChanged },
    ...{ waitMs: wait * 1000, signal: cli.terminal.signal },
  });
}

export function connectedText({ unit, status }: Service): string {
  return `${unit} runs ${status?.version}, and is connected\nIts log:  journalctl -u ${unit}`;
}

/** Writes the account for scripts into the settings; answers whether that changed anything. */
function setScriptUser(dataDir: string, user: string): boolean {
  if (user === scriptUserIn(dataDir)) return false;
  const file = join(dataDir, 'config.yaml');
  writeDurably(file, settingsWithScriptUser(dataDir, user), permissionsOf(file));
  return true;
}

/** What is said of a service, for programs. */
export function serviceFacts({ role, unit, active, status }: Service, reason?: Reason) {
  const { version = null, state = null, since = null } = status ?? {};
  return { role, unit, active, version, state, since, code: reason?.code ?? null, detail: reason?.message ?? null };
}

async function showServices(cli: Cli, given: NodeRole | undefined): Promise<void> {
  const host = thisHost();
  requireSystemd(host.systemd);
  const installed = installedRoles(host.layout);
  if (given !== undefined && !installed.includes(given)) throw notInstalled(given);
  const roles = given === undefined ? installed : [given];
  const hidden = roles.filter((role) => isStatusHidden(host.layout.dataDir(role)));
  const facts = await Promise.all(
    roles.map(async (role) => {
      const service = await serviceOf(host, role);
      return serviceFacts(service, hidden.includes(role) ? HIDDEN : await reasonOf(host, service));
    }),
  );
  const rows = facts.map(({ role, active, version, state, since, code, detail }) => [
    ...[role, active, version, state],
    moment(since),
    code === null ? null : `${detail} (${code})`,
  ]);
  cli.show(facts, () =>
    facts.length === 0
      ? 'no service of Isthmus is installed here'
      : renderTable(['role', 'unit', 'version', 'state', 'since', 'why'], rows),
  );
  const wrong = facts
    .filter(({ role, active, state }) => (hidden.includes(role) ? active !== 'active' : state !== 'connected'))
    .map(({ unit }) => unit);
  if (wrong.length === 0) {
    if (hidden.length === 0) return;
    throw new IsthmusError(HIDDEN.code, `they run; whether they are connected, ${HIDDEN.message}`);
  }
  throw new IsthmusError('CHECK_FAILED', `not connected: ${wrong.join(', ')}`, {
    remedy: `Mend what it says; \`journalctl -u ${wrong[0]}\` says more.`,
  });
}

/** What systemd says, everybody may know. */
const HIDDEN = { code: 'NOT_ROOT', message: 'only root may read what the component says' } as const;

function notInstalled(role: NodeRole): IsthmusError {
  return new IsthmusError('SERVICE_NOT_INSTALLED', `there is no service ${unitOf(role)} of Isthmus on this machine`);
}

async function uninstall(cli: Cli, options: RoleOptions & { deleteData?: boolean; yes?: boolean }): Promise<void> {
  const { role, deleteData = false, yes } = options;
  const host = thisHost();
  requireServices(host.systemd);
  const dataDir = host.layout.dataDir(role);
  if (!installedRoles(host.layout).includes(role) && !(deleteData && existsSync(dataDir))) throw notInstalled(role);
  if (deleteData) {
    const lost = role === 'server' ? ', and with it the mesh' : '';
    await confirm(cli.terminal, `Delete ${dataDir}${lost}?`, yes);
  }
  await uninstallService(host, role, { deletesData: deleteData });
  cli.show({ role, unit: unitOf(role), dataDeleted: deleteData }, () =>
    deleteData
      ? `${unitOf(role)} is removed, and ${dataDir}`
      : `${unitOf(role)} is removed; its data stay in ${dataDir}`,
  );
}

/** Adds the options of a service that is installed. */
export function addServiceOptions(command: Command): Command {
  return command
    .option(
      '--script-user <account>',
      `of a tentacle: the account of its scripts (default: its own, ${SCRIPT_ACCOUNT})`,
    )
    .option('--scripts-may-change-system', 'of a tentacle: let its scripts use sudo and write to /usr and /etc')
    .option('--no-scripts-may-change-system', 'of a tentacle: deny that again');
}

/** Adds `service`. */
export function addServiceCommands(program: Command, cli: Cli): void {
  const group = program
    .command('service')
    .description('components as services of this machine, under systemd; as root, but for `status`');
  examples(group, 'isthmus service install --role server', 'isthmus service status');
  const role = (): Option => new Option('--role <role>', 'the component').choices(NODE_ROLES);

  const install = group
    .command('install')
    .description('run a component that was initialised, joined or restored in /var/lib/isthmus/ROLE, also after a boot')
    .addOption(role().makeOptionMandatory());
  addServiceOptions(install).option('--wait <time>', 'how long to wait until it is connected (default 1m)', duration);
  examples(
    install,
    'isthmus service install --role server',
    'isthmus service install --role tentacle --script-user deploy',
  ).action(async ({ role, ...options }: RoleOptions & ServiceOptions) => {
    const service = await runAsService(cli, role, options);
    cli.show(serviceFacts(service), () => connectedText(service));
  });

  const remove = group
    .command('uninstall')
    .description('stop the service of a component and remove it; its data stay')
    .addOption(role().makeOptionMandatory())
    .option('--delete-data', 'delete its data folder, too, and kill what still runs of it')
    .option('--yes', 'do not ask');
  examples(
    remove,
    'isthmus service uninstall --role relay',
    'isthmus service uninstall --role tentacle --delete-data --yes',
  ).action((options: RoleOptions & { deleteData?: boolean; yes?: boolean }) => uninstall(cli, options));

  const status = group
    .command('status')
    .description('whether the services run and are connected; exit code 1 when one is not')
    .addOption(role());
  examples(status, 'isthmus service status', 'isthmus service status --role relay -o json').action(
    (options: Partial<RoleOptions>) => showServices(cli, options.role),
  );
}

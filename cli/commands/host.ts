// `isthmus host …`: the versions of the software on this host. install.sh and the upgrader's unit run most of it.
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { identityFolder } from '../../certs/identity.ts';
import { IsthmusError, isErrorCode } from '../../contract/errors.ts';
import { NODE_ROLES } from '../../contract/nodes.ts';
import { requireRoot } from '../../host/services/requirements.ts';
import { installedRoles } from '../../host/services/units.ts';
import { hostLayout, isPackaged, type HostLayout } from '../../host/layout.ts';
import type { Host } from '../../host/versions/change.ts';
import type { Installed } from '../../host/versions/install.ts';
import type { Change } from '../../host/versions/journal.ts';
import type { HostVersions } from '../../host/versions/show.ts';
import { examples, type Cli } from '../cli.ts';
import { escapeText } from '../render/escape.ts';
import { renderRecord } from '../render/table.ts';
import { moment } from '../render/units.ts';
import { progressLines } from '../render/version-change.ts';
import { confirm, warn } from '../terminal.ts';
import { duration } from '../values.ts';

interface RootOption {
  readonly root: string;
}

const ROOT = ['--root <folder>', 'the file system of the host, for images', '/'] as const;

/** Adds `host`. */
export function addHostCommands(program: Command, cli: Cli): void {
  const group = program.command('host').description('the version of the software on this host');
  examples(group, 'isthmus host show');

  const install = group
    .command('install <tree>')
    .description('make the version in an unpacked tarball the current one; install.sh runs this')
    .option('--trust <file>', "the builder's public key, whose software this host takes from now on")
    .option('--confirm-within <duration>', 'how long its services have to be as well as before (default: 2m)', duration)
    .option(...ROOT);
  examples(install, 'isthmus host install isthmus-1.2.0-linux-x64').action(
    async (tree: string, options: RootOption & { readonly trust?: string; readonly confirmWithin?: number }) => {
      const { install: run } = await import('../../host/versions/install.ts');
      const layout = ownedLayout(options);
      const { trust: file, confirmWithin: confirmWithinS } = options;
      const onVerified = file === undefined ? undefined : await trusting(cli, layout, resolve(file));
      await changeVersion(cli, layout, (host) => run(host, resolve(tree), { confirmWithinS, onVerified }));
    },
  );

  const trust = group
    .command('trust <file>')
    .description("trust the builder's public key: this host takes upgrades through the mesh that are signed with it")
    .option(...ROOT);
  examples(trust, 'isthmus host trust isthmus-release.pub').action(async (file: string, options: RootOption) => {
    const layout = ownedLayout(options);
    await (
      await trusting(cli, layout, resolve(file))
    )();
    const { showHost } = await import('../../host/versions/show.ts');
    const { trustedKeys } = await showHost(layout);
    cli.show({ trustedKeys }, () => renderRecord({ 'trusted keys': trustedKeys }));
  });

  const goBack = group
    .command('go-back')
    .description('make the version before the current one')
    .option(...ROOT);
  examples(goBack, 'isthmus host go-back').action(async (options: RootOption) => {
    const { goBack: run } = await import('../../host/versions/install.ts');
    await changeVersion(cli, ownedLayout(options), run);
  });

  const uninstall = group
    .command('uninstall')
    .description('stop all services of this host and remove the software; install.sh --uninstall runs this')
    .option('--delete-data', 'also delete the data of the services, the trusted keys and the accounts')
    .option('--yes', 'do not ask')
    .option(...ROOT);
  examples(uninstall, 'isthmus host uninstall').action(
    async (options: RootOption & { readonly deleteData?: boolean; readonly yes?: boolean }) => {
      const { uninstall: run } = await import('../../host/versions/uninstall.ts');
      const layout = ownedLayout(options);
      const data = dirname(layout.dataDir('server'));
      const deletesData = options.deleteData === true;
      const what = deletesData ? `all services of this host with their data in ${data}` : 'all services of this host';
      await confirm(cli.terminal, `Uninstall Isthmus, ${what}?`, options.yes);
      await run(layout, { deletesData });
      cli.show({ deletedData: deletesData }, () =>
        deletesData
          ? ['Isthmus is uninstalled, and its data deleted', ...CONTEXTS_STAY].join('\n')
          : `Isthmus is uninstalled; its data are in ${data}`,
      );
    },
  );

  const upgrade = group
    .command('upgrade')
    .description('finish what a crash cut off, and do what nodes of this host order; its unit runs this')
    .option(...ROOT);
  examples(upgrade, 'isthmus host upgrade').action(async (options: RootOption) => {
    const { upgrade: run } = await import('../../host/versions/upgrade.ts');
    const host = await hostOf(cli, ownedLayout(options), 'leave');
    const done = run(host, (ended) => warn(cli.terminal, `isthmus: ${ended.to}: ${ended.phase}${whyOf(ended)}`));
    await done.catch((thrown: unknown) => {
      // Nothing but an operator mends that: its unit is not to try again until there is another order.
      if (IsthmusError.from(thrown).code !== 'UPGRADE_JOURNAL_UNREADABLE') throw thrown;
      host.onProblem(IsthmusError.from(thrown));
    });
  });

  const show = group
    .command('show')
    .description('the versions on this host, the trusted keys, and how the last change of the version ended')
    .option(...ROOT);
  examples(show, 'isthmus host show', 'isthmus host show -o json').action(async (options: RootOption) => {
    const { showHost } = await import('../../host/versions/show.ts');
    const shown = await showHost(hostLayout(options.root));
    cli.show(shown, () => renderHost(shown));
  });
}

/** The layout of a host that this process may change. */
function ownedLayout({ root }: RootOption): HostLayout {
  const layout = hostLayout(root);
  if (layout.root === '/') requireRoot();
  // What is installed is for everybody.
  process.umask(0o022);
  return layout;
}

/** Reads a release key; answers what shows it, and trusts it then. */
async function trusting(cli: Cli, layout: HostLayout, file: string): Promise<() => Promise<void>> {
  const [{ keyFingerprint, readReleaseKey }, { trustKey }] = await Promise.all([
    import('../../certs/release-keys.ts'),
    import('../../host/versions/trust.ts'),
  ]);
  const key = await readReleaseKey(file);
  return async () => {
    warn(cli.terminal, `trusted from now on: the release key ${keyFingerprint(key)}; compare it with the builder's`);
    await trustKey(layout, key);
  };
}

/** Runs a change of the version, which a closed terminal does not stop; throws what made it go back. */
async function changeVersion(cli: Cli, layout: HostLayout, change: (host: Host) => Promise<Installed>): Promise<void> {
  process.on('SIGHUP', () => undefined);
  const host = await hostOf(cli, layout, 'go-back');
  const ended = await change(host);
  if (ended.phase === 'failed' || ended.phase === 'went-back') {
    throw new IsthmusError(isErrorCode(ended.code) ? ended.code : 'UPGRADE_START_FAILED', ended.message);
  }
  const hasServices = (await host.services.active()).length > 0;
  const trusted = await trustLines(layout);
  cli.show(ended, () => [whatHappened(ended), ...trusted, ...nextLines(layout, hasServices)].join('\n'));
}

/** What a host that trusts nobody cannot do. Keys that cannot be read are told of by whoever needs them. */
async function trustLines(layout: HostLayout): Promise<readonly string[]> {
  if (isPackaged(layout)) return [];
  const { readTrustedKeys } = await import('../../certs/release-keys.ts');
  const keys = await readTrustedKeys(layout.releaseKeys).catch(() => undefined);
  return keys?.length === 0 ? NOTHING_TRUSTED : [];
}

/** Data that an earlier installation has left need their services again; a new host has to join. */
function nextLines(layout: HostLayout, hasServices: boolean): readonly string[] {
  const installed = installedRoles(layout);
  const left = NODE_ROLES.filter(
    (role) => !installed.includes(role) && existsSync(identityFolder(layout.dataDir(role))),
  );
  if (left.length > 0) {
    return [
      '',
      ...left.map((role) => `next, for the ${role} whose data are here:  isthmus service install --role ${role}`),
    ];
  }
  return hasServices || installed.length > 0 ? [] : NEXT;
}

async function hostOf({ terminal }: Cli, layout: HostLayout, whenStopped: Host['whenStopped']): Promise<Host> {
  const [{ hostServices }, { WATCH_TIMES }] = await Promise.all([
    import('../../host/versions/systemd.ts'),
    import('../../host/versions/watch.ts'),
  ]);
  return {
    ...{ layout, services: hostServices(layout), times: WATCH_TIMES, signal: terminal.signal, whenStopped },
    onProblem: ({ message, code }) => warn(terminal, escapeText(`isthmus: ${message} (${code})`)),
    onProgress: (progress) => {
      for (const line of progressLines(layout, progress)) warn(terminal, escapeText(line));
    },
  };
}

function whyOf(change: Change): string {
  return 'code' in change ? `: ${change.message} (${change.code})` : '';
}

function whatHappened(ended: Exclude<Installed, { readonly phase: 'failed' | 'went-back' }>): string {
  if (ended.phase === 'unchanged') return `isthmus ${ended.to} is the current version already`;
  const before = ended.from === null ? '' : `; before it was ${ended.from}`;
  return `isthmus ${ended.to} is the current version${before}`;
}

const NOTHING_TRUSTED = [
  '',
  'no release key is trusted here, so this host takes no upgrades through the mesh; to trust one:',
  '    isthmus host trust isthmus-release.pub',
];

const CONTEXTS_STAY = [
  'what stays: the contexts of the command line with their API keys (~/.config/isthmus of each user),',
  'which are of no use when the mesh is gone',
];

const NEXT = [
  '',
  'next, on the host of a new mesh:      isthmus init --data /var/lib/isthmus/server',
  'next, on a host that joins a mesh:    the command that `isthmus token create` prints on the server',
];

function renderHost(shown: HostVersions): string {
  const { versions, current, previous, knownGood, trustedKeys, lastChange, journalError: unknown } = shown;
  return renderRecord({
    versions,
    current,
    previous,
    'known good': knownGood,
    'trusted keys': trustedKeys,
    ...(lastChange === null
      ? {}
      : {
          'last change': `${lastChange.why} of ${lastChange.to}: ${lastChange.phase}, ${moment(lastChange.at)}`,
          ...('code' in lastChange ? { why: `${lastChange.message} (${lastChange.code})` } : {}),
        }),
    ...(unknown === null
      ? {}
      : { 'last change': `unknown: ${unknown.message} (${unknown.code})`, 'what to do': unknown.remedy }),
  });
}

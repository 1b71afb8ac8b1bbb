// `isthmus join`: joins this machine to a mesh, after a preflight check of everything that could fail.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { envVariable } from '../../lib/config/env.ts';
import { parseSettings } from '../../lib/config/file.ts';
import { decodeText } from '../../lib/text/read-text.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { JOIN_ROLES, type JoinRole } from '../../contract/join-tokens.ts';
import type { NodeIdentity } from '../../certs/identity.ts';
import { thisHost } from '../../host/services/service.ts';
import { asOwnerOf } from '../../lib/files/as-owner.ts';
import type { JoinOptions as NodeJoin } from '../../node/join/join.ts';
import { settingsWithLinks } from '../../node/settings.ts';
import { examples, type Cli } from '../cli.ts';
import { escapeText } from '../render/escape.ts';
import { startCommand } from '../render/next-command.ts';
import { shellWord } from '../render/shell.ts';
import { readSecret } from '../files.ts';
import { say, warn } from '../terminal.ts';
import { collectWhole, duration } from '../values.ts';
import {
  addServiceOptions,
  connectedText,
  requireServiceOf,
  runAsService,
  serviceFacts,
  type ServiceOptions,
} from './service.ts';
import { checkSettings } from './start.ts';

interface JoinOptions extends ServiceOptions {
  readonly data?: string;
  readonly service?: boolean;
  readonly pin: string;
  readonly tokenFile: string;
  readonly address?: readonly string[];
  readonly listen?: string;
  readonly role?: JoinRole;
  readonly site?: string;
  readonly name?: string;
}

/** One preflight check, as it is shown. */
interface Check {
  readonly check: string;
  readonly outcome: string;
  readonly detail: string;
  readonly remedy?: string;
}

function showCheck(cli: Cli, { check, outcome, detail, remedy }: Check): void {
  if (cli.json) return;
  say(cli.terminal, escapeText(`  ${outcome.padEnd(7)}  ${check.padEnd(7)}  ${detail}`));
  if (remedy !== undefined) say(cli.terminal, escapeText(`                     what to do: ${remedy}`));
}

/** Join writes no script user itself, but it keeps an earlier node's settings, which may name one. */
async function hasScriptUser(dataDir: string): Promise<boolean> {
  const file = resolve(dataDir, 'config.yaml');
  const { value } = parseSettings(decodeText(await readFile(file), file).text, file);
  return typeof value === 'object' && value !== null && 'scriptUser' in value;
}

const SCRIPTS_CHECK: Check = {
  check: 'scripts',
  outcome: 'warning',
  detail:
    'SCRIPTS ARE NOT ISOLATED unless a script user is set: they run as the user of the tentacle and can read its keys',
  remedy: 'Start the tentacle with --script-user <account>, or set scriptUser in its config.yaml.',
};

/** HTTP_PROXY and the like. The mesh never uses them, which may surprise whoever set them. */
function proxies(): { proxy: string | undefined; noProxy: string | undefined } {
  const names = ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy', 'HTTP_PROXY', 'http_proxy'];
  return {
    proxy: names.map(envVariable).find((value) => value !== undefined),
    noProxy: envVariable('NO_PROXY') ?? envVariable('no_proxy'),
  };
}

async function join(cli: Cli, options: JoinOptions): Promise<void> {
  if (options.address === undefined && options.listen === undefined) {
    throw new IsthmusError(
      'USAGE',
      'give the address of the parent (--address), or the port to wait for it on (--listen)',
    );
  }
  const service = await serviceRole(options);
  const folder = service === undefined ? options.data! : thisHost().layout.dataDir(service);
  const dataDir = resolve(folder);
  if (options.role !== undefined) await requireSettings(dataDir, options.role, options.listen);
  const token = await readSecret(options.tokenFile, cli.terminal, 'the join token');
  const { joinNode } = await import('../../node/join/join.ts');
  const { signal } = cli.terminal;
  const checks: Check[] = [];
  const request: NodeJoin = {
    dataDir,
    token,
    pin: options.pin,
    role: options.role,
    site: options.site,
    name: options.name,
    addresses: options.address,
    listen: options.listen,
    proxies: proxies(),
    signal,
    ...(options.wait === undefined ? {} : { waitMs: options.wait * 1000 }),
    report: (check) => {
      // A check that was interrupted has found nothing.
      if (signal.aborted) return;
      checks.push(check);
      showCheck(cli, check);
    },
  };
  const identity = await asOwnerOf(dataDir, () => joinNode(request)).catch((thrown: unknown) => {
    if (signal.aborted) {
      const words = 'stopped before it had joined; nothing was changed here, and the token can still be used';
      throw new IsthmusError('CANCELLED', words, { cause: thrown });
    }
    const error = IsthmusError.from(thrown);
    if (!cli.json) say(cli.terminal, `  failed   ${error.code}; nothing was changed here`);
    throw service !== undefined && error.code === 'IDENTITY_EXISTS' ? hasJoined(error, service, options) : error;
  });
  const { node, role, site, meshId } = identity;
  if (service !== undefined) {
    if (!cli.json) say(cli.terminal, inMesh(identity));
    const { scriptUser, scriptsMayChangeSystem } = options;
    const running = await runAsService(cli, service, { scriptUser, scriptsMayChangeSystem }).catch(
      (thrown: unknown) => {
        const command = installCommand(service, options);
        warn(cli.terminal, escapeText(`it has joined, and its token is used; \`${command}\` goes on from here`));
        throw thrown;
      },
    );
    const facts = { node, role, site, meshId, dataDir, checks, service: serviceFacts(running) };
    cli.show(facts, () => connectedText(running));
    return;
  }
  const isolated = role !== 'tentacle' || (await hasScriptUser(dataDir));
  if (!isolated) {
    checks.push(SCRIPTS_CHECK);
    showCheck(cli, SCRIPTS_CHECK);
  }
  cli.show({ node, role, site, meshId, dataDir, checks }, () =>
    [inMesh(identity), `Next:  ${startCommand(role, dataDir)}`].join('\n'),
  );
}

function inMesh({ role, node, meshId, site }: NodeIdentity): string {
  return `${role} ${node} is in mesh ${meshId} (site ${site ?? '-'})`;
}

/** CONFIG_INVALID when settings that an earlier node has left keep this one from starting. */
async function requireSettings(dataDir: string, role: JoinRole, listen: string | undefined): Promise<void> {
  await asOwnerOf(dataDir, async () => {
    const text = settingsWithLinks(dataDir, { listen, parents: [{ node: 'parent' }] });
    checkSettings(role, { name: resolve(dataDir, 'config.yaml'), text });
  });
}

/** A node whose service could not be installed is joined already: to join again would not help. */
function hasJoined({ message, cause }: IsthmusError, role: JoinRole, options: JoinOptions): IsthmusError {
  const remedy = `\`${installCommand(role, options)}\` runs it as a service. To join another in its place, remove the folder \`identity\` in there.`;
  return new IsthmusError('IDENTITY_EXISTS', message, { remedy, cause });
}

function installCommand(role: JoinRole, { scriptUser, scriptsMayChangeSystem }: ServiceOptions): string {
  const user = scriptUser === undefined ? '' : ` --script-user ${shellWord(scriptUser)}`;
  const mayChange = scriptsMayChangeSystem === true ? ' --scripts-may-change-system' : '';
  return `isthmus service install --role ${role}${user}${mayChange}`;
}

/** The role that is to run as a service, once it is known that it can; undefined where none is to. */
async function serviceRole({ service = false, data, role, ...options }: JoinOptions): Promise<JoinRole | undefined> {
  if (!service) {
    if (data === undefined) throw new IsthmusError('USAGE', 'give the data folder (--data), or --service with --role');
    return undefined;
  }
  if (data !== undefined)
    throw new IsthmusError('USAGE', 'the data of a service are in /var/lib/isthmus: leave out --data');
  if (role === undefined) throw new IsthmusError('USAGE', 'a service is that of a role: add --role');
  await requireServiceOf(role, options);
  return role;
}

/** Adds `join`. */
export function addJoinCommand(program: Command, cli: Cli): void {
  const command = program
    .command('join')
    .description('join this machine to a mesh; checks name, connection, pin, clock and every hop first')
    .option('--data <folder>', "the new node's data folder")
    .option('--service', 'run it as a service of this machine, with its data in /var/lib/isthmus/ROLE; needs --role')
    .requiredOption('--pin <fingerprint>', "SHA-256 of the authority's certificate, as `token create` prints it")
    .requiredOption('--token-file <file>', 'the file with the join token, - for standard input')
    .option(
      '--address <host:port>',
      'dial the parent there; repeat for each further parent that this node dials',
      collectWhole,
    )
    .option('--listen <host:port>', "this node's own port; without --address, wait there for the parent to dial")
    .addOption(new Option('--role <role>', 'reject a token for another role').choices(JOIN_ROLES))
    .option('--site <id>', 'reject a token for another site')
    .option('--name <id>', 'the node id to request, when the token names none')
    .option('--wait <time>', 'how long to wait for the parent to dial (default 1h)', duration);
  addServiceOptions(command);
  examples(
    command,
    'isthmus join --data /var/lib/isthmus/relay --address isthmus.example:8444 --pin 3f…9a --token-file token.txt',
    'isthmus join --service --role relay --address isthmus.example:8444 --pin 3f…9a --token-file token.txt',
    'isthmus join --data /var/lib/isthmus/relay --listen [::]:8444 --pin 3f…9a --token-file - < token.txt',
    'isthmus join --data /var/lib/isthmus/tentacle --address eu-a.example:8444 --address eu-b.example:8444 \\\n' +
      '    --pin 3f…9a --token-file token.txt',
  ).action((options: JoinOptions) => join(cli, options));
}

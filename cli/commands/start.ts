// `isthmus server|relay|mirror|tentacle start`: runs a component in this process until it is stopped.
import { existsSync } from 'node:fs';
import { access, constants, readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import type { Static, TObject } from 'typebox';
import { identityFolder, IdentityStore } from '../../certs/identity.ts';
import { mirrorConfigSchema } from '../../mirror/config.ts';
import { relayConfigSchema } from '../../relay/config.ts';
import { serverConfigSchema } from '../../server/config.ts';
import { tentacleConfigSchema } from '../../tentacle/config.ts';
import { envVariable } from '../../lib/config/env.ts';
import { resolveConfig } from '../../lib/config/resolve.ts';
import { listsOf, settingsOf } from '../../lib/config/schema.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { unusable } from '../../lib/files/folder.ts';
import { decodeText } from '../../lib/text/read-text.ts';
import type { Running } from '../../lib/component.ts';
import {
  LOG_FORMATS,
  LOG_LEVELS,
  createLogger,
  type LogFormat,
  type Logger,
  type LogLevel,
} from '../../lib/telemetry/log.ts';
import { examples, type Cli } from '../cli.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { shellWord } from '../render/shell.ts';
import { say, type Terminal } from '../terminal.ts';
import { stopAfter } from '../../lib/async/deadline.ts';

type Sources = Parameters<typeof resolveConfig>[1];

/** A component that can be started. Only the chosen one is loaded, after its settings are resolved. */
interface Component {
  readonly name: NodeRole;
  readonly what: string;
  readonly schema: TObject;
  run(dataDir: string, sources: Sources, log: Logger): Promise<Running<unknown>>;
}

type Start<Config> = (config: Config, deps: { log: Logger }) => Promise<Running<unknown>>;

function component<Schema extends TObject>(
  name: NodeRole,
  what: string,
  schema: Schema,
  load: () => Promise<Start<Static<Schema> & { dataDir: string }>>,
): Component {
  return {
    name,
    what,
    schema,
    async run(dataDir, sources, log) {
      const config = resolveConfig(schema, sources);
      const start = await load();
      return start({ ...config, dataDir }, { log });
    },
  };
}

const COMPONENTS: readonly Component[] = [
  component(
    'server',
    'the control plane',
    serverConfigSchema,
    async () => (await import('../../server/start.ts')).start,
  ),
  component(
    'relay',
    'forwards tunnels between its parent and its children',
    relayConfigSchema,
    async () => (await import('../../relay/start.ts')).start,
  ),
  component(
    'mirror',
    "a site's package cache",
    mirrorConfigSchema,
    async () => (await import('../../mirror/start.ts')).start,
  ),
  component(
    'tentacle',
    'the agent on a machine',
    tentacleConfigSchema,
    async () => (await import('../../tentacle/start.ts')).start,
  ),
];

interface StartOptions {
  readonly data: string;
  readonly logLevel?: LogLevel;
  readonly logFormat?: LogFormat;
  readonly stopWithStdin?: boolean;
  readonly [setting: string]: unknown;
}

/** Throws when the folder holds no node of the role, or this account cannot use it; else the settings would be blamed. */
export async function requireNode(dataDir: string, name: NodeRole): Promise<void> {
  try {
    await readdir(dataDir);
    await access(dataDir, constants.W_OK | constants.X_OK);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw unusable(dataDir, thrown);
  }
  if (existsSync(identityFolder(dataDir))) {
    const { node, role } = (await IdentityStore.open(dataDir)).current();
    if (role === name) return;
    throw new IsthmusError('IDENTITY_INVALID', `${dataDir} is the folder of the ${role} ${node}, not of a ${name}`, {
      remedy: `Start it as what it is: isthmus ${role} start --data ${shellWord(dataDir)}`,
    });
  }
  // A server that has lost only its identity reports that itself.
  if (name === 'server' && existsSync(join(dataDir, 'authority'))) return;
  const folder = shellWord(dataDir);
  throw name === 'server'
    ? new IsthmusError('NOT_INITIALISED', `no server has been initialised in ${dataDir}`, {
        remedy: `Name the folder of a server, or create a mesh there: \`isthmus init --data ${folder}\`.`,
      })
    : new IsthmusError('IDENTITY_MISSING', `no node has joined in ${dataDir}`, {
        remedy: `Name the folder of a ${name}, or join one: \`isthmus token create --role ${name} --site ID\` prints the command; its folder is \`--data ${folder}\`.`,
      });
}

/** CONFIG_INVALID unless a component can be started with the settings in a text that is, or will be, `name`. */
export function checkSettings(role: NodeRole, file: { readonly name: string; readonly text: string }): void {
  const { schema } = COMPONENTS.find(({ name }) => name === role)!;
  resolveConfig(schema, { file, env: () => undefined });
}

async function readConfigFile(dataDir: string): Promise<{ name: string; text: string } | undefined> {
  const name = join(dataDir, 'config.yaml');
  try {
    return { name, text: decodeText(await readFile(name), name).text };
  } catch (cause) {
    if (cause instanceof IsthmusError) {
      throw new IsthmusError('CONFIG_INVALID', cause.message, { remedy: cause.remedy, cause });
    }
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new IsthmusError('CONFIG_INVALID', `cannot read ${name}`, { cause });
  }
}

/** Resolves when the process should stop: at a signal or, with `withStdin`, at the end of standard input. */
function untilStopped(terminal: Terminal, withStdin: boolean): Promise<string> {
  const { promise, resolve: stopped } = Promise.withResolvers<string>();
  if (terminal.signal.aborted) stopped('signal');
  terminal.signal.addEventListener('abort', () => stopped('signal'), { once: true });
  if (withStdin) {
    const ended = (): void => stopped('end of standard input');
    terminal.stdin.once('end', ended).once('close', ended).once('error', ended).resume();
  }
  return promise;
}

// Components stop within seconds; one that hangs must end before systemd kills it (after 90 s).
const STOP_LIMIT_MS = 20_000;

async function runComponent(cli: Cli, each: Component, options: StartOptions): Promise<void> {
  const { terminal } = cli;
  const dataDir = resolve(options.data);
  const words = Object.fromEntries(
    settingsOf(each.schema).map((setting) => {
      const word = options[optionKey(setting.option)];
      return [setting.path, typeof word === 'string' ? word : undefined];
    }),
  );
  await requireNode(dataDir, each.name);
  const log = createLogger({
    component: each.name,
    level: options.logLevel ?? wordOfEnv('ISTHMUS_LOG_LEVEL', LOG_LEVELS) ?? 'info',
    format:
      options.logFormat ??
      wordOfEnv('ISTHMUS_LOG_FORMAT', LOG_FORMATS) ??
      (terminal.stderr.isTTY === true ? 'text' : 'json'),
  });
  const stopped = untilStopped(terminal, options.stopWithStdin === true);
  const endGuard = keepAlive(log);
  try {
    const running = await each.run(dataDir, { file: await readConfigFile(dataDir), options: words }, log);
    log.info({ addresses: running.addresses }, 'started');
    if (cli.json) say(terminal, JSON.stringify({ started: each.name, addresses: running.addresses }));
    const why = await stopped;
    log.info({ why }, 'stopping');
    const killItself = (): never => {
      log.error('not stopped in time');
      process.exit(1);
    };
    await stopAfter(STOP_LIMIT_MS, killItself, () => running.stop());
    log.info('stopped');
  } finally {
    endGuard();
  }
}

/**
 * A failure that nothing handled, of a promise or of the system (such as EMFILE), is logged and ends nothing. Any other
 * uncaught exception ends the process: it may have left something half done. Call what it returns to end that.
 */
function keepAlive(log: Logger): () => void {
  const rejected = (err: unknown): void => log.error({ err }, 'a background failure that nothing handled');
  const thrown = (err: Error): void => {
    log.error({ err }, 'an exception that nothing caught');
    if (!('syscall' in err)) process.exit(EXIT_CODES.internal.code);
  };
  process.on('unhandledRejection', rejected).on('uncaughtException', thrown);
  return () => {
    process.off('unhandledRejection', rejected).off('uncaughtException', thrown);
  };
}

function wordOfEnv<Word extends string>(name: string, words: readonly Word[]): Word | undefined {
  const given = envVariable(name);
  const word = words.find((each) => each === given);
  if (given === undefined || word !== undefined) return word;
  throw new IsthmusError('CONFIG_INVALID', `${name} must be one of ${words.join(', ')}`, { field: name });
}

/** Commander's name for an option: `mesh-listen` → meshListen. */
function optionKey(option: string): string {
  return option.replace(/-([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase());
}

/** Adds `server`, `relay`, `mirror` and `tentacle`. */
export function addStartCommands(program: Command, cli: Cli): void {
  for (const each of COMPONENTS) {
    const group = program.command(each.name).description(each.what);
    examples(group, `isthmus ${each.name} start --data /var/lib/isthmus/${each.name}`);
    const start = group
      .command('start')
      .description(
        `run the ${each.name} in this process; its settings come from options, variables and <data>/config.yaml`,
      )
      .requiredOption(
        '--data <folder>',
        `its data folder, created by \`isthmus ${each.name === 'server' ? 'init' : 'join'}\``,
      )
      .addOption(new Option('--log-level <level>', 'how much to log [ISTHMUS_LOG_LEVEL]').choices(LOG_LEVELS))
      .addOption(
        new Option(
          '--log-format <format>',
          'how to log (default: text on a terminal, else json) [ISTHMUS_LOG_FORMAT]',
        ).choices(LOG_FORMATS),
      )
      .option('--stop-with-stdin', 'stop when standard input ends: for a supervisor that may be killed');
    for (const setting of settingsOf(each.schema)) {
      const preset = setting.default === undefined ? '' : ` (default ${JSON.stringify(setting.default)})`;
      start.option(`--${setting.option} <value>`, `${setting.description} [${setting.variable}]${preset}`);
    }
    const lists = listsOf(each.schema).map(({ path, description }) => `  ${path}: ${description}`);
    if (lists.length > 0) start.addHelpText('after', `\nOnly in config.yaml, as lists:\n${lists.join('\n')}`);
    examples(start, `isthmus ${each.name} start --data /var/lib/isthmus/${each.name}`).action((options: StartOptions) =>
      runComponent(cli, each, options),
    );
  }
}

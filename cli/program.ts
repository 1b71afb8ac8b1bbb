// Builds the command line: global options, command groups, help topics.
import { Command, Option } from 'commander';
import { SOFTWARE_VERSION } from '../lib/version.ts';
import { Cli, examples } from './cli.ts';
import { exitCodeTable } from './exit-codes.ts';
import { IsthmusError } from '../contract/errors.ts';
import { didYouMean, nearest } from '../lib/config/suggest.ts';
import { say, type Terminal } from './terminal.ts';
import { COMMAND_VARIABLES, rejectMisspeltVariables } from './isthmus-env.ts';

const VERSION_FLAGS = ['-V', '--version'];

type AddCommands = (program: Command, cli: Cli) => void;

/** Loads what adds commands, by the words that begin them, in the order of the help. */
const GROUPS: readonly { readonly words: readonly string[]; readonly load: () => Promise<AddCommands> }[] = [
  { words: ['quickstart'], load: async () => (await import('./commands/quickstart.ts')).addQuickstartCommand },
  { words: ['init'], load: async () => (await import('./commands/init.ts')).addInitCommand },
  { words: ['login'], load: async () => (await import('./commands/login.ts')).addLoginCommand },
  {
    words: ['server', 'relay', 'mirror', 'tentacle'],
    load: async () => (await import('./commands/start.ts')).addStartCommands,
  },
  { words: ['mirror'], load: async () => (await import('./commands/mirror.ts')).addMirrorCommands },
  { words: ['key'], load: async () => (await import('./commands/key.ts')).addKeyCommands },
  { words: ['token'], load: async () => (await import('./commands/token.ts')).addTokenCommands },
  { words: ['join'], load: async () => (await import('./commands/join.ts')).addJoinCommand },
  {
    words: ['site', 'environment'],
    load: async () => (await import('./commands/sites-and-environments.ts')).addSiteAndEnvironmentCommands,
  },
  { words: ['machine'], load: async () => (await import('./commands/machine.ts')).addMachineCommands },
  { words: ['package'], load: async () => (await import('./commands/package.ts')).addPackageCommands },
  { words: ['project'], load: async () => (await import('./commands/project.ts')).addProjectCommands },
  { words: ['release'], load: async () => (await import('./commands/release.ts')).addReleaseCommands },
  { words: ['deploy'], load: async () => (await import('./commands/deploy.ts')).addDeployCommand },
  { words: ['task'], load: async () => (await import('./commands/task.ts')).addTaskCommands },
  { words: ['script'], load: async () => (await import('./commands/script.ts')).addScriptCommands },
  { words: ['health'], load: async () => (await import('./commands/health.ts')).addHealthCommands },
  { words: ['node'], load: async () => (await import('./commands/node.ts')).addNodeCommands },
  { words: ['cert'], load: async () => (await import('./commands/cert.ts')).addCertCommands },
  { words: ['mesh'], load: async () => (await import('./commands/mesh.ts')).addMeshCommands },
  { words: ['events'], load: async () => (await import('./commands/events.ts')).addEventsCommand },
  { words: ['backup', 'restore'], load: async () => (await import('./commands/backup.ts')).addBackupCommands },
  { words: ['service'], load: async () => (await import('./commands/service.ts')).addServiceCommands },
  { words: ['host'], load: async () => (await import('./commands/host.ts')).addHostCommands },
];

const TOPICS: Readonly<Record<string, () => string>> = {
  'exit-codes': () => `Exit codes of isthmus:\n\n${exitCodeTable()}`,
  env: () =>
    [
      'Environment variables of isthmus:',
      '',
      ...Object.entries(COMMAND_VARIABLES).map(([name, what]) => `  ${name.padEnd(20)}  ${what}`),
      '',
      'Every setting of a component with a single value has a variable too: see `isthmus <component> start --help`.',
    ].join('\n'),
};

/** `isthmus help`, `isthmus help machine list`, `isthmus help exit-codes`. */
function addHelpCommand(program: Command, terminal: Terminal): void {
  program.helpCommand(false);
  const help = program.command('help [topic...]').description('help for a command, or on: exit-codes, env');
  examples(help, 'isthmus help machine set-route', 'isthmus help exit-codes').action((words: readonly string[]) => {
    const topic = TOPICS[words.join(' ')];
    if (topic !== undefined) {
      say(terminal, topic());
      return;
    }
    let command = program;
    for (const word of words) {
      const next = command.commands.find((each) => each.name() === word);
      if (next === undefined) {
        const known = [...command.commands.map((each) => each.name()), ...Object.keys(TOPICS)];
        throw new IsthmusError('USAGE', `there is no help on "${words.join(' ')}"${didYouMean(word, known)}`);
      }
      command = next;
    }
    command.outputHelp();
  });
}

/** Ends with exit code 2 on an unknown subcommand, also when its help is requested. */
function rejectUnknown(command: Command): void {
  const [word] = command.args;
  if (word === undefined || word.startsWith('-') || command.commands.length === 0) return;
  const known = command.commands.map((each) => each.name());
  if (known.includes(word)) return;
  const meant = meantBy(word, command);
  const others = command.parent === null ? '' : `; there are ${known.join(', ')}`;
  command.error(`unknown command '${word}'${meant === undefined ? others : `; did you mean ${meant}?`}`);
}

/**
 * What was meant: a command of one to three groups, without its group (`mesh status` for `isthmus status`), else the
 * closest name.
 */
function meantBy(word: string, { commands }: Command): string | undefined {
  const names = (of: readonly Command[]): string[] => of.map((each) => each.name());
  const below = names(commands.flatMap((group) => group.commands));
  const here = below.includes(word) ? undefined : nearest(word, names(commands));
  if (here !== undefined) return here;
  const meant = nearest(word, below);
  const groups = commands.filter((group) => meant !== undefined && names(group.commands).includes(meant));
  if (groups.length > 3) return undefined;
  const whole = groups.map((group) => `${group.name()} ${meant}`);
  return [whole.slice(0, -1).join(', '), ...whole.slice(-1)].filter((part) => part !== '').join(' or ') || undefined;
}

function rejectUnknownIn(command: Command): void {
  if (command.commands.length === 0) return;
  command.on('command:*', () => rejectUnknown(command));
  for (const each of command.commands) rejectUnknownIn(each);
}

/**
 * Throws USAGE for `isthmus release create web --version 1.2.0`: commander would print the version of isthmus and exit
 * with 0, as if the release were created.
 */
export function rejectVersionOfCommand(argv: readonly string[]): void {
  const flag = argv.find((word) => VERSION_FLAGS.includes(word));
  if (flag === undefined || !GROUPS.some(({ words }) => words.some((word) => argv.includes(word)))) return;
  throw new IsthmusError('USAGE', `no command has an option ${flag}; one that takes a version takes it as an argument`);
}

/** Tells which command it was whose words were wrong. */
class ReportingCommand extends Command {
  onError: (command: Command) => void = () => undefined;

  override createCommand(name?: string): ReportingCommand {
    const command = new ReportingCommand(name);
    command.onError = this.onError;
    return command;
  }

  override error(...given: Parameters<Command['error']>): never {
    this.onError(this);
    return super.error(...given);
  }
}

/** Creates the command line for one run, without its commands. */
export function createProgram(terminal: Terminal): { program: Command; cli: Cli } {
  const program = new ReportingCommand('isthmus');
  const cli = new Cli(program, terminal);
  program.onError = (command) => (cli.command = command);
  program
    .description('Deployments and health checks through relays, into networks that the server cannot reach.')
    .version(SOFTWARE_VERSION, VERSION_FLAGS.join(', '))
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      // cli/run.ts reports these, like every other error.
      outputError: () => undefined,
    })
    .showSuggestionAfterError()
    .addOption(new Option('-o, --output <form>', 'how results are shown').choices(['table', 'json']).default('table'))
    .option('--server <url>', 'address of the API (ISTHMUS_SERVER)')
    .option('--ca <file>', "certificate of the mesh's authority, or of the API's own (ISTHMUS_CA_FILE)")
    .option('--api-key-file <file>', 'file with the API key, - for standard input (ISTHMUS_API_KEY_FILE)')
    .option('--context <file>', 'context file that holds these (ISTHMUS_CONTEXT)');
  examples(
    program,
    'isthmus quickstart                     # a whole mesh on this machine, with a deployment in it',
    'isthmus init --data /var/lib/isthmus/server   # a new mesh',
    'isthmus mesh status',
    'isthmus help exit-codes',
  );
  program.hook('preAction', (_program, command) => {
    cli.command = command;
    return command.name() === 'help' ? undefined : rejectMisspeltVariables();
  });
  program.addHelpText('beforeAll', ({ command, error }) => {
    if (!error) rejectUnknown(command);
    return '';
  });
  return { program, cli };
}

/**
 * Adds the commands that begin with the first word of the arguments, or all when none does: to load all of them takes
 * longer than most of them run. Throws commander's error when the arguments ask for the version.
 */
export async function addCommands(program: Command, cli: Cli, argv: readonly string[] = []): Promise<void> {
  const [first] = program.parseOptions([...argv]).operands;
  const meant = GROUPS.filter(({ words }) => words.some((word) => word === first));
  for (const { load } of meant.length > 0 ? meant : GROUPS) (await load())(program, cli);
  addHelpCommand(program, cli.terminal);
  rejectUnknownIn(program);
}

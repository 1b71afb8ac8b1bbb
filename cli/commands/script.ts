// `isthmus script run`: runs an ad-hoc script on machines.
import { Option, type Command } from 'commander';
import { INTERPRETERS, ISOLATIONS, type Isolation, type TaskSummary } from '../../contract/tasks.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { examples, type Cli } from '../cli.ts';
import { readInput } from '../files.ts';
import { collect, duration } from '../values.ts';
import { accepted, withFollow, type FollowOptions } from './task.ts';

export interface TargetOptions {
  readonly machine?: string[];
  readonly environment?: string[];
  readonly targetRole?: string[];
}

interface RunOptions extends TargetOptions, FollowOptions {
  readonly file: string;
  readonly interpreter: string;
  readonly timeLimit?: number;
  readonly deadline?: number;
  readonly isolation?: Isolation;
}

/** Adds the options that choose machines. */
export function withTargets(command: Command): Command {
  return command
    .option('--machine <ids>', 'these machines', collect)
    .option('--environment <ids>', 'the machines of these environments', collect)
    .option('--target-role <roles>', 'the machines with one of these target roles', collect);
}

/** The chosen machines as a request body. */
export function targetsOf(options: TargetOptions): object {
  return {
    ...(options.machine === undefined ? {} : { machines: options.machine }),
    ...(options.environment === undefined ? {} : { environments: options.environment }),
    ...(options.targetRole === undefined ? {} : { targetRoles: options.targetRole }),
  };
}

/** Adds `script`. */
export function addScriptCommands(program: Command, cli: Cli): void {
  const group = program.command('script').description('ad-hoc scripts');
  examples(group, "echo 'uptime' | isthmus script run --file - --machine eu-1");
  const run = withFollow(
    withTargets(
      group
        .command('run')
        .description('run a script once on each chosen machine, and show its output')
        .requiredOption('--file <file>', 'the script, - for standard input')
        .addOption(new Option('--interpreter <name>', 'what runs it').choices(INTERPRETERS).default('bash')),
    ),
  )
    .option('--time-limit <time>', 'kill it after this', duration)
    .option('--deadline <time>', 'end the task after this', duration)
    .addOption(new Option('--isolation <kind>', 'alone on the machine, or beside others').choices(ISOLATIONS));
  examples(
    run,
    "echo 'df -h /' | isthmus script run --file - --machine eu-1,eu-2",
    'isthmus script run --file restart.sh --environment production --target-role web --time-limit 5m',
  ).action(async (options: RunOptions) => {
    if (options.machine === undefined && options.environment === undefined && options.targetRole === undefined) {
      throw new IsthmusError('USAGE', 'no machines are chosen: give --machine, --environment or --target-role');
    }
    const { body } = await (
      await cli.client()
    ).post<TaskSummary>('scripts', {
      body: await readInput(options.file, cli.terminal, 'the script'),
      interpreter: options.interpreter,
      ...targetsOf(options),
      ...(options.timeLimit === undefined ? {} : { timeLimitS: options.timeLimit }),
      ...(options.deadline === undefined ? {} : { deadlineS: options.deadline }),
      ...(options.isolation === undefined ? {} : { isolation: options.isolation }),
    });
    await accepted(cli, body, options);
  });
}

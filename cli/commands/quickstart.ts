// `isthmus quickstart`, also `npm start`: starts a whole mesh on this machine and deploys to it.
import type { Command } from 'commander';
import { examples, type Cli } from '../cli.ts';

interface Options {
  readonly data: string;
  readonly once?: boolean;
  readonly clean?: boolean;
}

/** Adds `quickstart`. */
export function addQuickstartCommand(program: Command, cli: Cli): void {
  const quickstart = program
    .command('quickstart')
    .description('start a mesh of three sites on this machine and deploy an application to it')
    .option('--data <folder>', 'the folder for its state', '.isthmus')
    .option('--once', 'stop everything after the tables; the exit code is the result')
    .option('--clean', 'start over: delete the state of an earlier start');
  examples(quickstart, 'isthmus quickstart', 'isthmus quickstart --once --clean', 'npm start -- --once').action(
    async (options: Options) => {
      const { quickstart: run } = await import('../quickstart/quickstart.ts');
      await run({ data: options.data, once: options.once === true, clean: options.clean === true }, cli.terminal);
    },
  );
}

// `isthmus quickstart`, which is also `npm start`: a whole mesh on this machine, with a deployment in it.
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
    .option('--data <folder>', 'where its state is kept and found again', '.isthmus')
    .option('--once', 'stop everything after the tables, and end with the result')
    .option('--clean', 'start over: delete what an earlier start left');
  examples(quickstart, 'isthmus quickstart', 'isthmus quickstart --once --clean', 'npm start -- --once').action(
    async (options: Options) => {
      const { quickstart: run } = await import('../quickstart/quickstart.ts');
      await run({ data: options.data, once: options.once === true, clean: options.clean === true }, cli.terminal);
    },
  );
}

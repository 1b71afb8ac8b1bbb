// `isthmus deploy`: deploys a release to an environment.
import { Option, type Command } from 'commander';
import type { Release } from '../../contract/releases.ts';
import type { TaskSummary } from '../../contract/tasks.ts';
import { examples, type Cli } from '../cli.ts';
import { path } from '../client/client.ts';
import { warn } from '../terminal.ts';
import { duration } from '../values.ts';
import { pinnedLines } from './release.ts';
import { accepted, withFollow, type FollowOptions } from './task.ts';

interface DeployOptions extends FollowOptions {
  readonly to: string;
  readonly deadline?: number;
  readonly unreachable?: string;
  readonly whenReady?: boolean;
}

/** Adds `deploy`. */
export function addDeployCommand(program: Command, cli: Cli): void {
  const deploy = withFollow(
    program
      .command('deploy <project> <version>')
      .description('deploy a release; deploying an earlier one again is the rollback'),
  )
    .requiredOption('--to <environment>', 'the environment to deploy to')
    .option('--deadline <time>', 'time limit of the whole deployment, waiting for machines included', duration)
    .option('--when-ready', 'warm the mirrors of its sites, and begin once they have the release')
    .addOption(
      new Option('--unreachable <what>', 'what to do with a machine that is still unreachable then').choices([
        'fail',
        'skip',
      ]),
    );
  examples(
    deploy,
    'isthmus deploy web 1.2.0 --to production',
    'isthmus deploy web 1.1.9 --to production --deadline 30m --unreachable skip --detach',
  ).action(async (project: string, version: string, options: DeployOptions) => {
    const client = await cli.client();
    const { body } = await client.post<TaskSummary>('deployments', {
      project,
      release: version,
      environment: options.to,
      ...(options.deadline === undefined ? {} : { deadlineS: options.deadline }),
      ...(options.whenReady === undefined ? {} : { whenReady: options.whenReady }),
      ...(options.unreachable === undefined ? {} : { unreachable: options.unreachable }),
    });
    const release = await client.get<Release>(path('projects', project, 'releases', version)).catch(() => undefined);
    // Not on standard output, where the task's id is.
    for (const line of release === undefined ? [] : pinnedLines(release)) warn(cli.terminal, line.trimStart());
    await accepted(cli, body, options);
  });
}

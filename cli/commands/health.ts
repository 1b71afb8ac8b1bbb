// `isthmus health …`: checks machines now, or shows what the last check found.
import type { Command } from 'commander';
import type { Machine } from '../../contract/machines.ts';
import type { TaskSummary } from '../../contract/tasks.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { examples, type Cli } from '../cli.ts';
import { acceptsWork, healthText } from '../render/machine.ts';
import { renderTable } from '../render/table.ts';
import { bytes, moment } from '../render/units.ts';
import { targetsOf, withTargets, type TargetOptions } from './script.ts';
import { accepted, withFollow, type FollowOptions } from './task.ts';

function fact(machine: Machine, name: string): number | undefined {
  const value = machine.healthReport?.facts?.[name];
  return typeof value === 'number' ? value : undefined;
}

function sizeFact(machine: Machine, name: string): string {
  const value = fact(machine, name);
  return value === undefined ? '-' : bytes(value);
}

/** Adds `health`. */
export function addHealthCommands(program: Command, cli: Cli): void {
  const group = program.command('health').description('health of machines');
  examples(group, 'isthmus health check', 'isthmus health show');

  const check = withFollow(withTargets(group.command('check').description('check now, by each machine’s route')));
  examples(check, 'isthmus health check', 'isthmus health check --environment production').action(
    async (options: TargetOptions & FollowOptions) => {
      const { body } = await (await cli.client()).post<TaskSummary>('health-checks', targetsOf(options));
      await accepted(cli, body, options);
    },
  );

  const show = group
    .command('show')
    .description('what the last check found; exit code 1 when an enabled machine is not healthy');
  examples(show, 'isthmus health show', 'isthmus health show -o json').action(async () => {
    const machines = await (await cli.client()).list<Machine>('machines');
    const rows = machines.map((each) => [
      each.id,
      moment(each.healthAt),
      sizeFact(each, 'diskFreeBytes'),
      sizeFact(each, 'memoryFreeBytes'),
      fact(each, 'load_1m')?.toFixed(2),
      each.healthReport?.clockSkewMs,
      // Last, since its reasons may be long.
      healthText(each),
    ]);
    cli.show(machines, () =>
      renderTable(['machine', 'checked', 'disk free', 'memory free', 'load', 'skew ms', 'health'], rows),
    );
    const ill = machines.filter((each) => acceptsWork(each) && ['unhealthy', 'unreachable'].includes(each.health));
    if (ill.length > 0) {
      throw new IsthmusError('CHECK_FAILED', `not healthy: ${ill.map((each) => each.id).join(', ')}`, {
        remedy: 'See which hop fails with `isthmus mesh trace MACHINE`.',
      });
    }
  });
}

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

function healthGroup({ health }: Machine): 'ill' | 'unknown' | 'well' {
  if (health === 'unknown') return 'unknown';
  return health === 'unhealthy' || health === 'unreachable' ? 'ill' : 'well';
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
    .description(
      'what the last check found; exit code 1 unless every machine that takes part is known and healthy, or has warnings',
    );
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
    const { ill = [], unknown = [], well = [] } = Object.groupBy(machines.filter(acceptsWork), healthGroup);
    const ids = (those: readonly Machine[]): string => those.map((each) => each.id).join(', ');
    if (ill.length > 0) {
      const more = unknown.length === 0 ? '' : `; nothing is known of ${ids(unknown)}`;
      throw new IsthmusError('CHECK_FAILED', `not healthy: ${ids(ill)}${more}`, {
        remedy: 'See which hop fails with `isthmus mesh trace MACHINE`.',
      });
    }
    if (unknown.length > 0 || well.length === 0) {
      const of = unknown.length === 0 ? 'any machine: none takes part' : ids(unknown);
      throw new IsthmusError('CHECK_FAILED', `nothing is known of ${of}`, {
        remedy: 'Check now with `isthmus health check`; `healthCheckIntervalS` of the server says how often it checks.',
      });
    }
  });
}

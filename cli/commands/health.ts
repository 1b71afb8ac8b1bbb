// `isthmus health …`: checks machines now, or shows what the last check found.
import type { Command } from 'commander';
import type { HealthChecks, Machine } from '../../contract/machines.ts';
import type { TaskSummary } from '../../contract/tasks.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { bytes } from '../../lib/text/byte-size.ts';
import { examples, type Cli } from '../cli.ts';
import { escapeText } from '../render/escape.ts';
import { acceptsWork, healthText } from '../render/machine.ts';
import { reactivates } from '../render/remedy.ts';
import { renderTable } from '../render/table.ts';
import { moment } from '../render/units.ts';
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

/** `checked every 5 minutes; the last round began at 2026-01-31 12:30:05Z` */
function checksText({ intervalS, lastRoundAt }: HealthChecks): string {
  if (intervalS === 0) return 'no periodic checks (healthCheckIntervalS of the server is 0)';
  const [count, unit] = intervalS % 60 === 0 ? [intervalS / 60, 'minute'] : [intervalS, 'second'];
  const often = count === 1 ? `every ${unit}` : `every ${count} ${unit}s`;
  return `checked ${often}; ${lastRoundAt === null ? 'no round yet' : `the last round began at ${moment(lastRoundAt)}`}`;
}

type HealthGroup = 'ill' | 'unknown' | 'outdated' | 'well';

function healthGroup({ health, healthAt }: Machine, { outdatedBefore }: HealthChecks): HealthGroup {
  if (health === 'unknown') return 'unknown';
  if (health === 'unhealthy' || health === 'unreachable') return 'ill';
  return outdatedBefore !== null && (healthAt ?? 0) < outdatedBefore ? 'outdated' : 'well';
}

/** Throws CHECK_FAILED unless every machine that takes part is known, lately, and works. */
function requireHealth(machines: readonly Machine[], checks: HealthChecks): void {
  const groups = Object.groupBy(machines.filter(acceptsWork), (each) => healthGroup(each, checks));
  const { ill = [], unknown = [], outdated = [], well = [] } = groups;
  if (ill.length + unknown.length + outdated.length === 0 && well.length > 0) return;
  const faults = [
    named('not healthy: ', ill),
    named('nothing is known of ', unknown),
    named('not checked for three intervals: ', outdated),
  ].filter((text) => text !== '');
  const message = faults.length === 0 ? 'nothing is known of any machine: none takes part' : faults.join('; ');
  const remedy =
    ill.length > 0
      ? illRemedy(ill[0]!)
      : 'Check now with `isthmus health check`; `healthCheckIntervalS` of the server says how often it checks.';
  throw new IsthmusError('CHECK_FAILED', message, { remedy });
}

/** What to do about the worst that the check of a machine has found. */
function illRemedy({ id, healthReport }: Machine): string {
  const reasons = healthReport?.reasons ?? [];
  const denied = reasons.find(({ code }) => code === 'NODE_CLONED');
  if (denied !== undefined) return reactivates(denied.hop ?? id);
  const faults = reasons.filter(({ severity }) => severity === 'unhealthy').map(({ text }) => text);
  if (faults.length === 0) return `See which hop fails with \`isthmus mesh trace ${id}\`.`;
  return `Correct on ${id}: ${faults.join('; ')}. \`isthmus health check ${id}\` checks it then.`;
}

function named(what: string, machines: readonly Machine[]): string {
  return machines.length === 0 ? '' : `${what}${machines.map(({ id }) => id).join(', ')}`;
}

/** Adds `health`. */
export function addHealthCommands(program: Command, cli: Cli): void {
  const group = program.command('health').description('health of machines');
  examples(group, 'isthmus health check', 'isthmus health show');

  const check = withFollow(
    withTargets(group.command('check [machines...]').description('check these machines, or all, now, by their routes')),
  );
  examples(
    check,
    'isthmus health check',
    'isthmus health check web-1 web-2',
    'isthmus health check --environment production',
  ).action(async (named: string[], options: TargetOptions & FollowOptions) => {
    const machine = [...new Set([...named, ...(options.machine ?? [])])];
    const targets = targetsOf(machine.length === 0 ? options : { ...options, machine });
    const { body } = await (await cli.client()).post<TaskSummary>('health-checks', targets);
    await accepted(cli, body, options);
  });

  const show = group
    .command('show')
    .description(
      'what the last checks found, and how often they run; exit code 1 unless every machine that takes part is known, ' +
        'was checked within three intervals, and is healthy or has warnings',
    );
  examples(show, 'isthmus health show', 'isthmus health show -o json').action(async () => {
    const client = await cli.client();
    const checks = await client.get<HealthChecks>('health-checks');
    const machines = await client.list<Machine>('machines');
    const rows = machines.map((each) => [
      each.id,
      moment(each.healthAt),
      each.healthReport?.by,
      sizeFact(each, 'diskFreeBytes'),
      sizeFact(each, 'memoryFreeBytes'),
      fact(each, 'load_1m')?.toFixed(2),
      each.healthReport?.clockSkewMs,
      // Last, since its reasons may be long.
      healthText(each),
    ]);
    const columns = ['machine', 'checked', 'by', 'disk free', 'memory free', 'load', 'skew ms', 'health'];
    cli.show(machines, () => `${escapeText(checksText(checks))}\n${renderTable(columns, rows)}`);
    requireHealth(machines, checks);
  });
}

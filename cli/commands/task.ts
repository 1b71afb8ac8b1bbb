// `isthmus task …`: the state, log, cancellation and retry of tasks.
import { Option, type Command } from 'commander';
import type { StreamEntry } from '../../contract/task-stream.ts';
import { END_STATES, TASK_KINDS, TASK_STATES, type Task, type TaskSummary } from '../../contract/tasks.ts';
import { examples, type Cli } from '../cli.ts';
import { path } from '../client/client.ts';
import { escapeText } from '../render/escape.ts';
import { OpenLines } from '../render/open-lines.ts';
import { renderTable } from '../render/table.ts';
import { renderTask } from '../render/task.ts';
import { moment } from '../render/units.ts';
import { say, warn } from '../terminal.ts';
import { requireSuccess, watchTask } from '../watch-task.ts';

interface ListOptions {
  readonly state?: string;
  readonly kind?: string;
  readonly project?: string;
}

export interface FollowOptions {
  readonly follow?: boolean;
  readonly detach?: boolean;
}

/** Adds the options that say whether a command waits for its task. */
export function withFollow(command: Command): Command {
  return command
    .option('--follow', 'show it live; the exit code is its result (default on a terminal)')
    .addOption(new Option('--detach', 'print the task id and return (default without a terminal)').conflicts('follow'));
}

/** Reports an accepted task, or follows it and ends with its result. */
export async function accepted(
  cli: Cli,
  task: { readonly id: string; readonly title?: string },
  { follow = false, detach = false }: FollowOptions,
): Promise<void> {
  if (!follow && (detach || !cli.terminal.redraws)) {
    cli.show(task, () => `task ${task.id} accepted; see it with: isthmus task follow ${task.id}`);
    return;
  }
  const client = await cli.client();
  if (cli.json) {
    const quiet = { ...cli.terminal, stdout: cli.terminal.stderr, redraws: false };
    const ended = await watchTask(client, task.id, quiet);
    cli.show(ended, () => '');
    requireSuccess(ended);
    return;
  }
  say(cli.terminal, `task ${task.id}${task.title === undefined ? '' : `: ${escapeText(task.title)}`}`);
  const ended = await watchTask(client, task.id, cli.terminal);
  requireSuccess(ended);
  say(cli.terminal, `task ${task.id} succeeded`);
}

async function showLog(cli: Cli, id: string): Promise<void> {
  const client = await cli.client();
  const stream = await client.list<StreamEntry>(path('tasks', id, 'log'), {}, 'after');
  const shown = stream.filter(isInLog);
  if (shown.length > 0 || cli.json) cli.show(shown, () => logText(shown, cli.terminal.redraws));
  else warn(cli.terminal, `the log is empty; \`isthmus task show ${escapeText(id)}\` shows what each machine says`);
}

/** The scripts' output, how packages came, and what somebody should know. */
function isInLog(entry: StreamEntry): boolean {
  if (entry.kind !== 'message' || entry.level !== 'info') return entry.kind !== 'state';
  return entry.data !== null && ('stage' in entry.data || 'acquired' in entry.data);
}

/** Whole lines, each where its first part is. */
function logText(entries: readonly StreamEntry[], redraws: boolean): string {
  const open = new OpenLines({ redraws });
  const lines: (() => string)[] = [];
  for (const entry of entries) {
    if (entry.kind !== 'log') {
      lines.push(() => messageLine(entry));
      continue;
    }
    const { line, isNew } = open.add(entry);
    if (isNew) lines.push(() => `${escapeText(entry.machine)} ${entry.line} | ${line.text}`);
  }
  return lines.map((text) => text()).join('\n');
}

function messageLine(entry: Exclude<StreamEntry, { kind: 'log' }>): string {
  const machine = escapeText(entry.machine ?? 'server');
  const text = entry.text.startsWith(`${machine}: `) ? entry.text.slice(machine.length + 2) : entry.text;
  const mark = entry.level === 'info' ? '-' : '!';
  return `${machine} ${mark} ${escapeText(text)}${entry.code === null ? '' : ` (${entry.code})`}`;
}

/** Adds `task`. */
export function addTaskCommands(program: Command, cli: Cli): void {
  const group = program.command('task').description('tasks: deployments, scripts, health checks and upgrades');
  examples(group, 'isthmus task list --state running', 'isthmus task follow 01j…');

  const list = group
    .command('list')
    .description('list tasks, newest first')
    .addOption(new Option('--state <state>', 'only in this state').choices(TASK_STATES))
    .addOption(new Option('--kind <kind>', 'only of this kind').choices(TASK_KINDS))
    .option('--project <id>', 'only of this project');
  examples(list, 'isthmus task list --state running', 'isthmus task list --kind deployment --project web').action(
    async (options: ListOptions) => {
      const items = await (
        await cli.client()
      ).list<TaskSummary>('tasks', { state: options.state, kind: options.kind, project: options.project });
      const rows = items.map((each) => [
        each.id,
        each.kind,
        each.title,
        each.state,
        moment(each.createdAt),
        moment(each.endedAt),
      ]);
      cli.show(items, () => renderTable(['task', 'kind', 'title', 'state', 'created', 'ended'], rows));
    },
  );

  examples(
    group.command('show <id>').description('show a task, its machines and steps'),
    'isthmus task show 01j…',
  ).action(async (id: string) => {
    const task = await (await cli.client()).get<Task>(path('tasks', id));
    cli.show(task, () => renderTask(task));
  });

  examples(
    group.command('follow <id>').description('show a task live until its end; the exit code is its result'),
    'isthmus task follow 01j…',
  ).action((id: string) => accepted(cli, { id }, { follow: true }));

  examples(
    group.command('log <id>').description('show every line that its scripts wrote, and how its packages came'),
    'isthmus task log 01j…',
  ).action((id: string) => showLog(cli, id));

  examples(
    group.command('cancel <id>').description('cancel a task; its scripts are killed with every process they started'),
    'isthmus task cancel 01j…',
  ).action(async (id: string) => {
    const { body } = await (await cli.client()).post<TaskSummary>(path('tasks', id, 'cancel'));
    const ended = (END_STATES as readonly string[]).includes(body.state);
    cli.show(body, () => (ended ? `task ${id} has ended: ${body.state}` : `task ${id} is being cancelled`));
  });

  examples(
    withFollow(
      group
        .command('retry <id>')
        .description(
          'run an ended task again, as a new task, on the machines where it did not succeed; ' +
            'an interrupted script may run a second time: look first how far it came',
        ),
    ),
    'isthmus task retry 01j…',
  ).action(async (id: string, options: FollowOptions) => {
    const { body } = await (await cli.client()).post<TaskSummary>(path('tasks', id, 'retry'));
    await accepted(cli, body, options);
  });
}

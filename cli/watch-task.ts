// Shows a task live until its end: log lines, settled steps, and a line of progress per machine.
import type { LogData, MessageData } from '../contract/task-stream.ts';
import { END_STATES, STAGES, type Task } from '../contract/tasks.ts';
import { Mutex } from '../lib/async/mutex.ts';
import { IsthmusError, receivedAction } from '../contract/errors.ts';
import { path, type ApiClient } from './client/client.ts';
import { followTask } from './client/follow.ts';
import { escapeText } from './render/escape.ts';
import { LiveRegion } from './render/live.ts';
import { actionText } from './render/remedy.ts';
import { StreamView } from './render/stream-view.ts';
import { machineErrors, taskRemedies } from './render/task-remedies.ts';
import { SettledSteps } from './render/settled-steps.ts';
import { errorText, machineLines } from './render/task.ts';
import type { ServerEvent } from './client/sse.ts';
import type { Terminal } from './terminal.ts';

interface WatchOptions {
  /** Show the scripts' output; else only steps and messages. */
  readonly output?: boolean;
  readonly retryForMs?: number;
}

// Many machines change at once: refreshes are merged, or there would be one each millisecond.
const REFRESH_EVERY_MS = 150;

/** Merges calls: `refresh` runs soon after a call, never twice at once. */
class Refresher {
  readonly #refresh: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  readonly #running = new Mutex();

  constructor(refresh: () => Promise<void>) {
    this.#refresh = refresh;
  }

  soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#running.run(this.#refresh).catch(() => undefined);
    }, REFRESH_EVERY_MS);
  }

  async now(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running.run(this.#refresh);
  }
}

/** How often the progress of one package is printed where no line can be redrawn. */
const PROGRESS_EVERY_MS = 5_000;

/** Leaves out messages that other lines show: the progress of a package now and then, and its arrival. */
class ProgressFilter {
  readonly #redraws: boolean;
  readonly #shownAt = new Map<string | null, number>();

  constructor({ redraws }: Terminal) {
    this.#redraws = redraws;
  }

  shows({ at, ticket, data }: MessageData): boolean {
    const facts = data ?? {};
    if ('acquired' in facts) return false;
    if (!('receivedBytes' in facts)) return true;
    if (this.#redraws || at < (this.#shownAt.get(ticket) ?? -Infinity) + PROGRESS_EVERY_MS) return false;
    this.#shownAt.set(ticket, at);
    return true;
  }
}

/** `data` of an event; undefined when it is not an object. */
function dataOf<T>(event: ServerEvent): T | undefined {
  try {
    const value: unknown = JSON.parse(event.data);
    return typeof value === 'object' && value !== null ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}

function messageLine(message: MessageData): string {
  const about = message.machine ?? 'server';
  const text = message.text.startsWith(`${about}: `) ? message.text : `${about}: ${message.text}`;
  return escapeText(`${text}${message.code ? ` (${message.code})` : ''}${remedyOf(message)}`);
}

/** What to do about a message that says so. */
function remedyOf({ data }: MessageData): string {
  const remedy = data?.remedy ?? '';
  const action = receivedAction(data?.action);
  const words = action === undefined ? remedy : actionText(action, remedy);
  return words === '' ? '' : `. ${words}`;
}

/** Follows a task to its end, shows it on standard output, and returns it. */
export async function watchTask(
  client: ApiClient,
  id: string,
  terminal: Terminal,
  options: WatchOptions = {},
): Promise<Task> {
  const region = new LiveRegion(terminal);
  const view = new StreamView(region, terminal);
  const settled = new SettledSteps();
  const progress = new ProgressFilter(terminal);
  let task: Task | undefined;
  const refresher = new Refresher(async () => {
    const now = await client.get<Task>(path('tasks', id));
    for (const line of settled.take(now)) region.print(line);
    if (now.blockedBy !== undefined && task?.blockedBy === undefined)
      region.print(await waitsFor(client, now.blockedBy));
    task = now;
    view.showMachines(machineLines(now));
  });
  refresher.soon();
  try {
    await followTask(client, id, {
      signal: terminal.signal,
      ...(options.retryForMs === undefined ? {} : { retryForMs: options.retryForMs }),
      onEvent: async (event) => {
        const part = event.event === 'log' && options.output !== false ? dataOf<LogData>(event) : undefined;
        if (part !== undefined) view.showLog(part);
        const message = event.event === 'message' ? dataOf<MessageData>(event) : undefined;
        const stage = STAGES.find((each) => each === message?.data?.stage);
        if (stage !== undefined) {
          // What has settled before belongs above the heading.
          await refresher.now();
          region.print(settled.begin(stage));
        } else if (message !== undefined && progress.shows(message)) region.print(messageLine(message));
        if (event.event !== 'log') refresher.soon();
      },
      onReconnect: (error) => {
        if (!(error instanceof IsthmusError)) return;
        region.print(`(no answer: ${error.message}; trying again)`);
      },
    });
    await refresher.now();
  } finally {
    view.close();
  }
  return task ?? (await client.get<Task>(path('tasks', id)));
}

async function waitsFor(client: ApiClient, [first = '', ...others]: readonly string[]): Promise<string> {
  const { kind, title } = await client.get<Task>(path('tasks', first));
  const more = others.length === 0 ? '' : `, and for ${others.length} more`;
  return escapeText(`waits for task ${first} (${kind} ${title})${more}`);
}

/** Throws TASK_NOT_SUCCESSFUL unless the task succeeded, with its first error that does not follow from another one. */
export function requireSuccess(task: Task): void {
  if (task.state === 'succeeded') return;
  const state = (END_STATES as readonly string[]).includes(task.state)
    ? task.state.replace('_', ' ')
    : `still ${task.state}`;
  const [first] = machineErrors(task);
  const why = [errorText(task.error), first ? `${escapeText(first.machine)}: ${errorText(first, first.machine)}` : ''];
  const words = [state, ...why].filter((text) => text !== '').join('; ');
  const remedies = taskRemedies(task).map(({ text }) => text);
  throw new IsthmusError('TASK_NOT_SUCCESSFUL', `task ${task.id} ${words}`, {
    remedy: [...remedies, `\`isthmus task show ${task.id}\` shows what each machine says.`].join(' '),
  });
}

// Ad-hoc scripts: one ticket per machine, all at once, bounded.
import PQueue from 'p-queue';
import { IsthmusError } from '../../lib/errors.ts';
import { newId } from '../../lib/ids.ts';
import type { Actor } from '../store/repositories/base.ts';
import type { Task } from '../store/repositories/tasks.ts';
import type { Ticket } from '../store/repositories/tickets.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { TaskContext } from '../tasks/context.ts';
import type { TaskRunner } from '../tasks/engine.ts';
import type { TicketDeps } from '../tasks/execution/machine-run.ts';
import { taskOutcome, type TaskOutcome } from '../tasks/outcome.ts';
import { runScriptTicket } from '../tasks/execution/script-ticket.ts';
import { submitTask } from '../tasks/submit.ts';
import { resolveTargets, type TargetRequest } from '../tasks/targets.ts';

export interface ScriptRequest extends TargetRequest {
  readonly body: string;
  readonly interpreter?: string | undefined;
  readonly timeLimitS?: number | undefined;
  readonly deadlineS?: number | undefined;
  /** exclusive: alone on its machine; shared: beside others. */
  readonly isolation?: 'exclusive' | 'shared' | undefined;
}

/** A script task's payload, as it is stored. */
export interface ScriptTaskPayload {
  readonly machines: readonly string[];
  readonly interpreter: string;
  readonly body: string;
  readonly timeLimitS: number;
  readonly isolation: 'exclusive' | 'shared';
}

/** Machines of one task at work at once: enough to be "all at once", few enough to leave others their turn. */
export const machinesAtOnce = 200;
export const longestScriptBytes = 1024 * 1024;
/** Interpreters that tentacles know; a table there, a list here. */
const interpreters: ReadonlySet<string> = new Set(['bash']);
const longestTimeLimitS = 7 * 86_400;

/** Accepts a script; its machines are resolved now. */
export async function submitScript(
  tx: StoreTransaction,
  request: ScriptRequest,
  actor: Actor,
  retryOf?: string,
): Promise<Task> {
  const { body, interpreter = 'bash', timeLimitS = 0, isolation = 'shared', deadlineS } = request;
  checkScript(body, timeLimitS);
  checkInterpreter(interpreter, 'interpreter');
  const machines = (await resolveTargets(tx, request)).map(({ id }) => id);
  const payload: ScriptTaskPayload = { machines, interpreter, body, timeLimitS, isolation };
  const title = `script on ${machines.length === 1 ? machines[0]! : `${machines.length} machines`}`;
  const event = { machines, interpreter };
  return submitTask(tx, { kind: 'script', title, payload, deadlineS, actor, event, retryOf });
}

function checkScript(body: string, timeLimitS: number): void {
  if (body === '' || body.includes('\0') || Buffer.byteLength(body) > longestScriptBytes) {
    const message = `a script has 1 to ${longestScriptBytes} bytes, none of them NUL`;
    throw new IsthmusError('INVALID_FIELD', message, { field: 'body' });
  }
  if (!Number.isInteger(timeLimitS) || timeLimitS < 0 || timeLimitS > longestTimeLimitS) {
    throw new IsthmusError('INVALID_FIELD', `a time limit is 0 (none) to ${longestTimeLimitS} whole seconds`, {
      field: 'timeLimitS',
    });
  }
}

/** INVALID_FIELD, for a script of which no tentacle could do anything. */
export function checkInterpreter(interpreter: string, field: string): void {
  if (interpreters.has(interpreter)) return;
  const known = [...interpreters].join(', ');
  throw new IsthmusError('INVALID_FIELD', `${field}: there is no interpreter ${interpreter}; there is: ${known}`, {
    field,
  });
}

/** Runs script tasks. */
export function scriptRunner(deps: TicketDeps): TaskRunner {
  return { run: (context) => runScriptTask(deps, context) };
}

async function runScriptTask(deps: TicketDeps, context: TaskContext): Promise<TaskOutcome> {
  const payload = context.task.payload as ScriptTaskPayload;
  const tickets = await ticketsOf(deps, context, 'script', payload.machines);
  const queue = new PQueue({ concurrency: machinesAtOnce });
  const { interpreter, body, timeLimitS, isolation } = payload;
  const ended = await queue.addAll(
    tickets.map(
      (ticket) => () =>
        runScriptTicket({ context, deps, machine: ticket.machine, onUnreachable: 'fail' }, ticket, {
          interpreter,
          body,
          timeLimitS,
          isolation,
          environment: { ISTHMUS_TASK: context.task.id, ISTHMUS_MACHINE: ticket.machine },
        }),
    ),
  );
  return taskOutcome({ tickets: ended, finishReason: context.finishReason, unfinished: ended.length === 0 });
}

/** The task's tickets, one per machine: those of its rows when it is resumed, else new ones, committed here. */
export async function ticketsOf(
  { store }: Pick<TicketDeps, 'store'>,
  context: TaskContext,
  action: 'script' | 'health',
  machines: readonly string[],
): Promise<Ticket[]> {
  const known = context.task.startedAt === null ? [] : await store.tickets.byTask(context.task.id);
  // Cancelled before it began: there is nothing to write down and nothing to do.
  if (known.length > 0 || context.finish.aborted) return known;
  const now = Date.now();
  return context.write(async (tx) => {
    const rows = machines.map((machine) => ({ id: newId(now), step: 0, action, machine, attempt: 1, createdAt: now }));
    await tx.tickets.insert(context.fence, rows);
    return tx.tickets.byTask(context.task.id);
  });
}

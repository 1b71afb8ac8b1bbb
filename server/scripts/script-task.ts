// The task kind of ad-hoc scripts: one script ticket per machine, with bounded concurrency.
import type { Isolation } from '../../contract/tasks.ts';
import type { Actor } from '../store/base.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { TaskContext } from '../tasks/context.ts';
import type { TicketDeps } from '../tasks/execution/machine-run.ts';
import { MACHINES_AT_ONCE, runPerMachine } from '../tasks/execution/per-machine.ts';
import { normaliseScript } from '../../lib/text/read-text.ts';
import { checkScript } from '../tasks/execution/script-limits.ts';
import { runScriptTicket } from '../tasks/execution/script-ticket.ts';
import { WORK_LANE, type TaskKind } from '../tasks/kinds.ts';
import type { TaskOutcome } from '../tasks/outcome.ts';
import { checkInterpreter } from '../tasks/interpreters.ts';
import { submitTask } from '../tasks/submit.ts';
import { resolveTargets, type TargetRequest } from '../tasks/targets.ts';

export interface ScriptRequest extends TargetRequest {
  readonly body: string;
  readonly interpreter?: string | undefined;
  readonly timeLimitS?: number | undefined;
  readonly deadlineS?: number | undefined;
  readonly isolation?: Isolation | undefined;
}

/** A script task's payload, as it is stored. */
interface ScriptTaskPayload {
  readonly machines: readonly string[];
  readonly interpreter: string;
  readonly body: string;
  readonly timeLimitS: number;
  readonly isolation: Isolation;
}

/** Runs one script on the machines that were resolved when it was accepted. */
export const scriptTask: TaskKind<ScriptTaskPayload> = {
  kind: 'script',
  lane: WORK_LANE,
  run: runScriptTask,
  retry: (tx, { payload }, { machines, deadlineS, actor, retryOf }) =>
    submitScript(tx, { ...(payload as ScriptTaskPayload), machines, deadlineS }, actor, retryOf),
};

/** Accepts a script and resolves its machines now. */
export async function submitScript(
  tx: StoreTransaction,
  request: ScriptRequest,
  actor: Actor,
  retryOf?: string,
): Promise<Task> {
  const { interpreter = 'bash', timeLimitS = 0, isolation = 'shared', deadlineS } = request;
  const { body, changed } = normaliseScript(request.body);
  checkScript({ body, interpreter, timeLimitS });
  const targets = await resolveTargets(tx, request);
  checkInterpreter(interpreter, targets.machines, 'interpreter');
  const machines = targets.machines.map(({ id }) => id);
  const payload = { machines, interpreter, body, timeLimitS, isolation };
  const title = `script on ${machines.length === 1 ? machines[0]! : `${machines.length} machines`}`;
  const event = { machines, interpreter };
  const { leftOut } = targets;
  const task = await submitTask(tx, scriptTask, { title, payload, deadlineS, actor, event, retryOf, leftOut });
  if (changed) {
    const text = 'the script had Windows line ends or a byte order mark, which were left out';
    await tx.taskEvents.append(task.id, { at: task.createdAt, text });
  }
  return task;
}

function runScriptTask(context: TaskContext, deps: TicketDeps): Promise<TaskOutcome> {
  const { machines, interpreter, body, timeLimitS, isolation } = context.task.payload as ScriptTaskPayload;
  return runPerMachine(deps, context, { action: 'script', machines, concurrency: MACHINES_AT_ONCE }, (ticket) => {
    const { target, executor } = ticket;
    const env = { ISTHMUS_TASK: context.task.id, ISTHMUS_MACHINE: target };
    return runScriptTicket({ context, deps, target, executor, onUnreachable: 'fail' }, ticket, {
      ...{ interpreter, body, timeLimitS, isolation },
      env,
    });
  });
}

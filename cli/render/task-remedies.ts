// What to do about the errors of a task: one remedy for each code.
import { ERROR_CATALOGUE, isErrorCode, type ErrorCode } from '../../contract/errors.ts';
import type { Task, TaskError } from '../../contract/tasks.ts';
import { remedyText } from './remedy.ts';

/** Codes of what failed because something else did, whose own code says what to do. */
const CONSEQUENCES: ReadonlySet<string> = new Set<ErrorCode>([
  'CANCELLED',
  'EARLIER_STEP_FAILED',
  'MACHINES_FAILED',
  'UPGRADE_STOPPED',
]);

interface MachineError extends TaskError {
  readonly machine: string;
}

/** The errors of its machines' steps: first those that do not follow from others. */
export function machineErrors({ machines }: Task): readonly MachineError[] {
  const errors = machines.flatMap(({ machine, steps }) =>
    steps.flatMap(({ error }) => (error === undefined ? [] : { ...error, machine })),
  );
  return errors.toSorted((a, b) => Number(CONSEQUENCES.has(a.code)) - Number(CONSEQUENCES.has(b.code)));
}

interface TaskRemedy {
  readonly code: string;
  readonly text: string;
}

/** What to do about each error, and about what holds a machine up now; not escaped yet. */
export function taskRemedies(task: Task): readonly TaskRemedy[] {
  const waiting = task.machines.flatMap(({ machine, message }) =>
    message?.code ? { code: message.code, hop: machine } : [],
  );
  const errors = [
    ...machineErrors(task).map(({ code, hop, machine }) => ({ code, hop: hop ?? machine })),
    ...waiting,
    ...(task.error === undefined ? [] : [{ code: task.error.code, hop: task.error.hop }]),
  ];
  const texts = new Map<string, string>();
  for (const { code, hop } of errors) {
    // A newer server may have a code that is unknown here.
    if (CONSEQUENCES.has(code) || texts.has(code) || !isErrorCode(code)) continue;
    const text = remedyText({ code, hop, action: undefined, remedy: ERROR_CATALOGUE[code].remedy });
    texts.set(code, text.replaceAll(/(?<=`isthmus task \w+ )ID(?=`)/g, task.id));
  }
  return [...texts].map(([code, text]) => ({ code, text }));
}

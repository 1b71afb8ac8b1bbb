// Renders a task as text: one line per machine while it runs, a table when it has ended.
import {
  END_STATES,
  type Stage,
  type Task,
  type TaskError,
  type TaskMachine,
  type TaskStep,
} from '../../contract/tasks.ts';
import { bytes } from '../../lib/text/byte-size.ts';
import { escapeText } from './escape.ts';
import { taskRemedies } from './task-remedies.ts';
import { renderRecord, renderTable, type Cell } from './table.ts';
import { moment } from './units.ts';

const SETTLED: readonly string[] = [...END_STATES, 'skipped'];

/** `web/acquire` */
export function stepLabel(step: TaskStep): string {
  return step.step === step.action ? step.step : `${step.step}/${step.action}`;
}

/** `MACHINE_DOWN at eu-pci: no answer`; leaves out a hop that equals `about`. */
export function errorText(error: TaskError | undefined, about?: string): string {
  if (error === undefined) return '';
  const at = error.hop === undefined || error.hop === about ? '' : ` at ${error.hop}`;
  return escapeText(`${error.code}${at}${error.detail ? `: ${error.detail}` : ''}`);
}

function numberOf(detail: TaskStep['detail'], key: string): number | undefined {
  const value = detail?.[key];
  return typeof value === 'number' ? value : undefined;
}

/** How a package, or another version, came there: `2.8 MiB in 1.2 s (2.3 MiB/s) from mirror-eu`. */
export function packageText(step: TaskStep): string {
  if (step.detail?.['cached'] === true) return 'in its cache already';
  if (step.detail?.['already'] === true) return 'there already';
  const size = numberOf(step.detail, 'bytes');
  const seconds = numberOf(step.detail, 'seconds');
  const from = step.detail?.['from'];
  if (typeof from !== 'string' || from === '') return '';
  if (size === undefined || seconds === undefined) return `from ${from}`;
  const rate = bytes(Math.round(size / Math.max(seconds, 0.001)));
  return `${bytes(size)} in ${seconds.toFixed(1)} s (${rate}/s) from ${from}`;
}

/** How far a package is: `19 % of 64.0 MiB at 11.9 MiB/s from mirror-eu`. */
function progressText({ progress }: TaskStep): string {
  if (progress === undefined) return '';
  const { receivedBytes, totalBytes, bytesPerS, from } = progress;
  const percent = totalBytes === 0 ? 0 : Math.floor((100 * receivedBytes) / totalBytes);
  return `${percent} % of ${bytes(totalBytes)} at ${bytes(bytesPerS)}/s from ${from}`;
}

/** `before acquisition` */
function stageText({ stage }: TaskStep): string | undefined {
  return stage === 'beforeAcquisition' ? 'before acquisition' : stage;
}

/** `163 (signal 35)` */
function exitText({ exitCode, signal }: TaskStep): string | number | null {
  return signal === null ? exitCode : `${exitCode} (signal ${signal})`;
}

function bar(done: number, total: number): string {
  const width = 12;
  const filled = total === 0 ? 0 : Math.round((width * done) / total);
  return `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}]`;
}

function leftOutText({ leftOut }: TaskMachine): string | undefined {
  return leftOut === undefined ? undefined : `left out: it is ${leftOut}`;
}

/** The last message about a machine, without its name. */
function messageText({ machine, message }: TaskMachine): string | undefined {
  if (message === undefined) return undefined;
  const text = message.text.startsWith(`${machine}: `) ? message.text.slice(machine.length + 2) : message.text;
  return message.code ? `${text} (${message.code})` : text;
}

/** One line of progress: the machine, how many steps are done, its current step. */
export function machineLine(machine: TaskMachine, nameWidth: number): string {
  const done = machine.steps.filter((step) => SETTLED.includes(step.state)).length;
  const current = machine.steps.find((step) => !SETTLED.includes(step.state));
  const at = current === undefined ? (leftOutText(machine) ?? '') : `${stepLabel(current)} ${progressText(current)}`;
  const name = escapeText(machine.machine).padEnd(nameWidth);
  return `  ${name}  ${bar(done, machine.steps.length)} ${machine.state.padEnd(9)} ${escapeText(at.trim())}`.trimEnd();
}

/** The lines of every machine. */
export function machineLines(task: Task): string[] {
  const { machines } = task;
  const width = Math.max(0, ...machines.map(({ machine }) => machine.length));
  return machines.map((machine) => machineLine(machine, width));
}

interface SettledLine {
  /** Unique in the task. */
  readonly key: string;
  readonly stage: Stage | undefined;
  readonly line: string;
}

/** One line for each step that has settled, on each machine. */
export function settledLines({ machines }: Task): SettledLine[] {
  return machines.flatMap(({ machine, steps }) =>
    // The machine's line and its messages show a running step.
    steps.flatMap((step) => {
      if (!SETTLED.includes(step.state)) return [];
      const label = stepLabel(step);
      const more = [packageText(step), errorText(step.error, machine)].filter((text) => text !== '').join('; ');
      const line = escapeText(`${machine}: ${label} ${step.state}${more === '' ? '' : ` · ${more}`}`);
      return { key: `${machine} ${label}`, stage: step.stage, line };
    }),
  );
}

/** The whole task, for `task show`. */
export function renderTask(task: Task): string {
  const head = renderRecord({
    id: task.id,
    task: `${task.kind}: ${task.title}`,
    state: task.state,
    created: moment(task.createdAt),
    started: moment(task.startedAt),
    ended: moment(task.endedAt),
    deadline: moment(task.deadlineAt),
    ...(task.retryOf ? { 'retry of': task.retryOf } : {}),
    ...(task.error ? { error: errorText(task.error) } : {}),
    ...(task.blockedBy ? { 'blocked by': task.blockedBy.join(', ') } : {}),
  });
  const isStaged = task.machines.some(({ steps }) => steps.some(({ stage }) => stage !== undefined));
  const noStage = isStaged ? [undefined] : [];
  const rows = task.machines.flatMap((machine): (readonly Cell[])[] => {
    const current = machine.steps.find(({ state }) => !SETTLED.includes(state));
    const steps = machine.steps.map((step) => [
      machine.machine,
      ...(isStaged ? [stageText(step)] : []),
      stepLabel(step),
      step.state,
      exitText(step),
      (step === current ? messageText(machine) : undefined) ?? packageText(step),
      errorText(step.error, machine.machine),
    ]);
    return steps.length === 0
      ? [
          [
            machine.machine,
            ...noStage,
            undefined,
            machine.state,
            undefined,
            leftOutText(machine) ?? 'not started',
            undefined,
          ],
        ]
      : steps;
  });
  for (const { step, reason } of task.skippedSteps ?? []) {
    rows.push([undefined, ...noStage, step, 'skipped', undefined, reason, undefined]);
  }
  const remedies = taskRemedies(task).map(({ code, text }) => escapeText(`what to do (${code}): ${text}`));
  const headings = ['machine', ...(isStaged ? ['stage'] : []), 'step', 'state', 'exit', 'detail', 'error'];
  return [
    head,
    ...(rows.length === 0 ? [] : [renderTable(headings, rows)]),
    ...(remedies.length === 0 ? [] : [remedies.join('\n')]),
  ].join('\n\n');
}

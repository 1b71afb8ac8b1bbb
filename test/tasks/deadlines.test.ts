// What a task ends with that is cut short: one rule for every kind of task and every action of a step, wherever it was.
import { describe, expect, it } from 'vitest';
import { TASK_KINDS, type EndState } from '../../contract/tasks.ts';
import { submitDeployment } from '../../server/deployments/deployments.ts';
import { healthTask } from '../../server/health/health-task.ts';
import { createProject } from '../../server/projects/projects.ts';
import { createRelease } from '../../server/projects/releases.ts';
import { stepHandlers } from '../../server/task-kinds.ts';
import type { FinishReason } from '../../server/tasks/context.ts';
import { cancelTask, submitTask } from '../../server/tasks/submit.ts';
import type { FakeTentacle } from '../support/fake-tentacle.ts';
import { waitFor } from '../support/wait.ts';
import { actor, startHarness, submit, type Harness } from './harness.ts';

/** Where the work is when its task is cut short. */
type Situation =
  /** The machine cannot be reached. */
  | 'away'
  /** Nobody answers the dial. */
  | 'dialling'
  /** The machine has taken the call and does not answer. */
  | 'called'
  /** The same, and then it cannot be reached any more. */
  | 'lost'
  /** The script runs. */
  | 'running'
  /** The script runs, and its machine cannot be reached any more. */
  | 'running, lost';

/** `cut` is `timed_out` at the deadline and `cancelled` after a cancel. */
type End = 'cut' | 'interrupted';

type Row = readonly [kind: string, action: string, situation: Situation, end: End];

const scriptRows = (kind: string, action: string): Row[] => [
  [kind, action, 'called', 'cut'],
  [kind, action, 'lost', 'interrupted'],
  [kind, action, 'running', 'cut'],
  [kind, action, 'running, lost', 'interrupted'],
];
const notReached = (kind: string, action: string): Row[] => [
  [kind, action, 'away', 'cut'],
  [kind, action, 'dialling', 'cut'],
];

const ROWS: readonly Row[] = [
  ...notReached('script', 'script'),
  ...scriptRows('script', 'script'),
  ['health', 'health', 'dialling', 'cut'],
  ['health', 'health', 'called', 'cut'],
  ...notReached('deployment', 'acquire'),
  ['deployment', 'acquire', 'called', 'cut'],
  ['deployment', 'acquire', 'lost', 'cut'],
  ['deployment', 'stage', 'called', 'cut'],
  ['deployment', 'stage', 'lost', 'cut'],
  ...scriptRows('deployment', 'pre'),
  ['deployment', 'activate', 'called', 'interrupted'],
  ['deployment', 'activate', 'lost', 'interrupted'],
  ...scriptRows('deployment', 'post'),
  ['deployment', 'settle', 'called', 'cut'],
  ['deployment', 'settle', 'lost', 'cut'],
  ...notReached('deployment', 'script'),
  ...scriptRows('deployment', 'script'),
];

const OF_MACHINES = TASK_KINDS.filter((kind) => kind !== 'upgrade' && kind !== 'warm');

it('the table has every kind of task of machines but upgrades, and every action of every kind of step', () => {
  // An upgrade that its host carries out goes on: test/upgrades. A warming is of mirrors: test/mirrors.
  expect(new Set(ROWS.map(([kind]) => kind))).toEqual(new Set(OF_MACHINES));
  const handlers = stepHandlers();
  const actions = handlers.kinds.flatMap((kind) => Object.keys(handlers.find(kind)!.actions));
  expect(new Set(ROWS.flatMap(([kind, action]) => (kind === 'deployment' ? [action] : [])))).toEqual(new Set(actions));
});

/** Long enough for every row to get where it is to be cut short, all of them at once. */
const DEADLINE_S = 8;

/**
 * Whether nobody answers: the task ends when the limit of a cancel is reached. Else the limit must not be in the way.
 */
function endsAtLimit([, action, situation]: Row): boolean {
  const isSwitch = action === 'activate' || action === 'settle';
  return situation.endsWith('lost') || (situation === 'called' && isSwitch);
}

const CALL_DEADLINE_MS = 700;
const CANCEL_LIMIT_MS = { answered: 60_000, unanswered: 500 };

describe.each<[FinishReason, EndState, string]>([
  ['deadline', 'timed_out', 'TASK_DEADLINE'],
  ['cancel', 'cancelled', 'CANCELLED'],
])('cut short by a %s', (reason, cutState, cutCode) => {
  it('ends every kind of task by one rule, wherever it was', async () => {
    const withLimit = (cancelLimitMs: number) => startHarness({ callDeadlineMs: CALL_DEADLINE_MS, cancelLimitMs });
    const answered = await withLimit(CANCEL_LIMIT_MS.answered);
    const unanswered = await withLimit(CANCEL_LIMIT_MS.unanswered);
    for (const h of [answered, unanswered]) await projects(h);
    const deadlineS = reason === 'deadline' ? DEADLINE_S : 600;
    const found = await Promise.all(
      ROWS.map(async (row, index) => {
        const [kind, action, situation] = row;
        const h = endsAtLimit(row) ? unanswered : answered;
        const machine = `web-${index}`;
        const fake = await h.machine(machine, { environments: [machine] });
        await arrange(h, fake, action, situation);
        const id = await start(h, row, machine, deadlineS);
        await arrived(h, fake, id, situation);
        if (reason === 'cancel') await h.store.transaction((tx) => cancelTask(tx, id, actor));
        const { state, errorCode } = await h.ended(id);
        const ticket = (await h.store.tickets.byTask(id)).find((one) => one.action === action);
        return [kind, action, situation, { task: [state, errorCode], ticket: [ticket?.state, ticket?.errorCode] }];
      }),
    );
    const expected = ROWS.map(([kind, action, situation, end]) => {
      const [state, code] = end === 'cut' ? [cutState, cutCode] : ['interrupted', 'SCRIPT_INTERRUPTED'];
      return [kind, action, situation, { task: [state, code], ticket: [state, code] }];
    });
    expect(found).toEqual(expected);
  });
});

const hold = { interpreter: 'bash', body: 'hold' };

/** A project for each action of a deployment: its script, if it has one, holds. */
async function projects(h: Harness): Promise<void> {
  const web = { name: 'web', kind: 'package', targetRoles: [], package: { id: 'shop.web' } };
  const steps: Record<string, object> = {
    acquire: web,
    stage: web,
    activate: web,
    settle: web,
    pre: { ...web, preDeploy: hold },
    post: { ...web, postDeploy: hold },
    script: { name: 'check', kind: 'script', targetRoles: [], script: hold },
  };
  await h.store.transaction(async (tx) => {
    await tx.packages.insert({
      ...{ id: 'shop.web', idKey: 'shop.web', version: '1.0.0', versionKey: '1.0.0' },
      ...{ sha256: '1'.repeat(64), sizeBytes: 1000, format: 'tar.gz', publishedAt: Date.now() },
    });
    for (const [id, step] of Object.entries(steps)) {
      await createProject(tx, h.steps, { id, steps: [step] }, actor);
      await createRelease(tx, h.steps, id, { version: '1.0.0' }, actor);
    }
  });
}

async function arrange(h: Harness, fake: FakeTentacle, action: string, situation: Situation): Promise<void> {
  if (situation === 'away') await fake.away();
  if (situation === 'dialling') h.unanswered.set(fake.name, 0);
  if (situation !== 'called' && situation !== 'lost') return;
  fake.stalls.add(action === 'pre' || action === 'post' ? 'script' : (action as 'script'));
}

/** Accepts a task of one row; returns its id. */
async function start(h: Harness, row: Row, machine: string, deadlineS: number): Promise<string> {
  const [kind, action] = row;
  if (kind === 'script') return submit(h, 'hold', { machines: [machine], deadlineS });
  const task = await h.store.transaction((tx) =>
    kind === 'health'
      ? submitTask(tx, healthTask, { title: machine, payload: { machines: [machine] }, deadlineS, actor, event: {} })
      : submitDeployment(tx, h, { project: action, release: '1.0.0', environment: machine, deadlineS }, actor),
  );
  return task.id;
}

/** Waits until the task is where it is to be cut short. */
async function arrived(h: Harness, fake: FakeTentacle, task: string, situation: Situation): Promise<void> {
  if (situation === 'dialling') await waitFor(() => h.unanswered.get(fake.name)! > 0);
  if (situation === 'away') {
    await waitFor(async () =>
      (await h.store.taskEvents.stream(task, 0, 100)).some(
        (entry) => entry.kind === 'message' && entry.code === 'UNREACHABLE',
      ),
    );
  }
  if (situation === 'called' || situation === 'lost') await waitFor(() => fake.stalled > 0);
  if (situation.startsWith('running')) await waitFor(() => fake.scripts.size > 0);
  if (situation.endsWith('lost')) await fake.away();
  expect((await h.store.tasks.get(task)).endedAt).toBeNull();
}

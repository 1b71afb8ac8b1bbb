// Tasks: what was requested, the progress on every machine, and the end state.
import { Type, type Static } from 'typebox';
import { Closed, ErrorCode, List, ListQuery, Nullable, PageOf, Slug, Slugs, Timestamp, Words } from './schema.ts';

/** The states in which a task has ended; it never leaves one. */
export const END_STATES = ['succeeded', 'failed', 'cancelled', 'timed_out', 'interrupted'] as const;
export type EndState = (typeof END_STATES)[number];

export const TASK_KINDS = ['script', 'health', 'deployment', 'upgrade', 'warm'] as const;
export const TaskKind = Words(TASK_KINDS, { $id: 'TaskKind' });

export const TASK_STATES = ['queued', 'running', 'cancelling', ...END_STATES] as const;
export const TaskState = Words(TASK_STATES, { $id: 'TaskState' });
export type TaskState = Static<typeof TaskState>;

export const TicketState = Words(['pending', 'sent', 'running', 'skipped', ...END_STATES], { $id: 'TicketState' });
export type TicketState = Static<typeof TicketState>;

export const TaskError = Type.Object(
  {
    code: ErrorCode,
    detail: Nullable(Type.String()),
    hop: Type.Optional(Type.String({ description: 'The node at which the error happened.' })),
  },
  { $id: 'TaskError' },
);
export type TaskError = Static<typeof TaskError>;

export const TaskSummary = Type.Object(
  {
    id: Type.String(),
    kind: TaskKind,
    title: Type.String(),
    state: TaskState,
    project: Nullable(Slug),
    environment: Nullable(Slug),
    createdBy: Type.String(),
    createdAt: Timestamp,
    startedAt: Nullable(Timestamp),
    endedAt: Nullable(Timestamp),
    deadlineAt: Timestamp,
    retryOf: Type.Optional(Type.String({ description: 'The task that this one retries.' })),
    error: Type.Optional(TaskError),
  },
  { $id: 'TaskSummary' },
);
export type TaskSummary = Static<typeof TaskSummary>;

export const TaskSummaryPage = PageOf(TaskSummary, 'TaskSummaryPage');

/** The stages of a deployment, in order. */
export const STAGES = ['beforeAcquisition', 'acquisition', 'steps'] as const;
export const Stage = Words(STAGES, {
  $id: 'Stage',
  description: 'A stage of a deployment, in which they run in this order; absent where there is nothing but steps.',
});
export type Stage = Static<typeof Stage>;

export const PackageProgress = Type.Object(
  {
    receivedBytes: Type.Integer(),
    totalBytes: Type.Integer(),
    bytesPerS: Type.Integer({ description: 'Since the progress before.' }),
    from: Type.String({ description: 'The source that sends now.' }),
  },
  { $id: 'PackageProgress', description: 'How far a package is on its way to a machine.' },
);
export type PackageProgress = Static<typeof PackageProgress>;

export const TaskStep = Type.Object(
  {
    stage: Type.Optional(Stage),
    step: Type.String({ description: "The name of the process's step; the task's kind when there is no process." }),
    action: Type.String(),
    ticket: Nullable(Type.String({ description: 'Null until the step starts.' })),
    /** The node that runs the step: the machine's own tentacle, or another on its behalf. */
    executor: Nullable(Slug),
    state: TicketState,
    exitCode: Nullable(
      Type.Integer({ description: "128 and the signal's number when a signal ended the script, as a shell says it." }),
    ),
    signal: Nullable(Type.Integer({ description: 'The number of the signal that ended the script.' })),
    startedAt: Nullable(Timestamp),
    endedAt: Nullable(Timestamp),
    error: Type.Optional(TaskError),
    progress: Type.Optional(PackageProgress),
    detail: Nullable(
      Type.Record(Type.String(), Type.Unknown(), {
        description: 'Facts that the action reports: where a package came from, what a check found.',
      }),
    ),
  },
  { $id: 'TaskStep' },
);
export type TaskStep = Static<typeof TaskStep>;

export const MachineMessage = Type.Object(
  { at: Timestamp, ticket: Nullable(Type.String()), code: Nullable(Type.String()), text: Type.String() },
  { $id: 'MachineMessage', description: 'What blocks the machine, or its progress.' },
);

export const LeftOutReason = Words(['disabled', 'revoked'], {
  description: 'Why the machine is left out: it matches what was requested, and accepts no work.',
});
export type LeftOutReason = Static<typeof LeftOutReason>;

export const TaskMachine = Type.Object(
  {
    machine: Slug,
    state: TicketState,
    steps: List(TaskStep),
    message: Type.Optional(MachineMessage),
    leftOut: Type.Optional(LeftOutReason),
  },
  { $id: 'TaskMachine' },
);
export type TaskMachine = Static<typeof TaskMachine>;

export const SkippedStep = Type.Object({ step: Type.String(), reason: Type.String() }, { $id: 'SkippedStep' });
export type SkippedStep = Static<typeof SkippedStep>;

export const Task = Type.Object(
  {
    ...TaskSummary.properties,
    machines: List(TaskMachine),
    skippedSteps: Type.Optional(List(SkippedStep, { description: 'The steps that no machine takes.' })),
    blockedBy: Type.Optional(
      List(Type.String(), { description: 'The older tasks with its concurrency key, which must end first.' }),
    ),
  },
  { $id: 'Task' },
);
export type Task = Static<typeof Task>;

export const TaskQuery = ListQuery({
  state: Type.Optional(TaskState),
  kind: Type.Optional(TaskKind),
  project: Type.Optional(Slug),
  environment: Type.Optional(Slug),
});

/** Also the longest time limit: the deadline cancels what still runs, so a longer limit would have no effect. */
export const LONGEST_DEADLINE_S = 7 * 86_400;

export const DeadlineS = Type.Integer({
  minimum: 1,
  maximum: LONGEST_DEADLINE_S,
  description: 'Seconds after which the task ends, done or not.',
});

const TARGETS = {
  machines: Type.Optional(Slugs),
  environments: Type.Optional(Slugs),
  targetRoles: Type.Optional(Slugs),
};

/** exclusive: alone on its machine; shared: together with others. */
export const ISOLATIONS = ['exclusive', 'shared'] as const;
export const Isolation = Words(ISOLATIONS);
export type Isolation = Static<typeof Isolation>;

/** What runs a script; a machine may lack some of them. */
export const INTERPRETERS = ['bash', 'sh', 'python'] as const;
export const Interpreter = Words(INTERPRETERS, { description: '`bash` when absent.' });

export const NewScript = Closed(
  {
    body: Type.String({ minLength: 1 }),
    interpreter: Type.Optional(Interpreter),
    ...TARGETS,
    timeLimitS: Type.Optional(Type.Integer({ minimum: 0, maximum: LONGEST_DEADLINE_S })),
    deadlineS: Type.Optional(DeadlineS),
    isolation: Type.Optional(Isolation),
  },
  { $id: 'NewScript' },
);
export type NewScript = Static<typeof NewScript>;

export const NewHealthCheck = Closed(TARGETS, {
  $id: 'NewHealthCheck',
  description: 'Checks every enabled machine when it names none.',
});
export type NewHealthCheck = Static<typeof NewHealthCheck>;

// A task's stream: log lines, messages and changes of state in one sequence, as pages and as server-sent events.
import { Type, type Static } from 'typebox';
import { Action } from './problem.ts';
import { List, Nullable, OneOf, SequenceQuery, Timestamp, Words } from './schema.ts';
import { Stage, TaskState } from './tasks.ts';

const seq = Type.Integer({ description: 'Its number in the stream, which rises by one.' });

export const LineEnding = Words(['newline', 'open', 'return'], {
  description: 'open: the next line of this ticket and stream goes on with it; return: that one is written over it.',
});
export type LineEnding = Static<typeof LineEnding>;

const LogData = Type.Object(
  {
    at: Timestamp,
    ticket: Type.String(),
    machine: Type.String(),
    step: Type.Integer(),
    action: Type.String(),
    line: Type.Integer({ description: '1..N per ticket.' }),
    stream: Type.String(),
    text: Type.String({ description: 'As the script wrote it, control characters included, secrets masked.' }),
    ending: LineEnding,
  },
  { $id: 'LogData' },
);
export type LogData = Static<typeof LogData>;

export const MessageLevel = Words(['info', 'warning', 'error']);
export type MessageLevel = Static<typeof MessageLevel>;

const MessageFacts = Type.Object(
  {
    remedy: Type.Optional(Type.String({ description: 'What to do, in words.' })),
    action: Type.Optional(Action),
    stage: Type.Optional(Stage),
  },
  { $id: 'MessageFacts', description: 'Facts for programs, more than these.', additionalProperties: true },
);

const MessageData = Type.Object(
  {
    at: Timestamp,
    machine: Nullable(Type.String()),
    ticket: Nullable(Type.String()),
    level: MessageLevel,
    code: Nullable(Type.String()),
    text: Type.String(),
    data: Nullable(MessageFacts),
  },
  { $id: 'MessageData' },
);
export type MessageData = Static<typeof MessageData>;

const StateData = Type.Object(
  { ...MessageData.properties, data: Type.Unknown({ description: 'Facts for programs.' }) },
  { $id: 'StateData' },
);

const LogEntry = Type.Object({ kind: Type.Literal('log'), seq, ...LogData.properties }, { $id: 'LogEntry' });
const MessageEntry = Type.Object(
  { kind: Type.Literal('message'), seq, ...MessageData.properties },
  { $id: 'MessageEntry' },
);
const StateEntry = Type.Object({ kind: Type.Literal('state'), seq, ...StateData.properties }, { $id: 'StateEntry' });

export const StreamEntry = OneOf('kind', [LogEntry, MessageEntry, StateEntry], { $id: 'StreamEntry' });
export type StreamEntry = Static<typeof StreamEntry>;

export const StreamPage = Type.Object(
  {
    items: List(StreamEntry),
    next: Type.Optional(Type.String({ description: 'The next `after`; absent on the last page.' })),
  },
  { $id: 'StreamPage' },
);

export const StreamQuery = SequenceQuery({});

const id = Type.String({ description: 'The `seq` of the entry.' });

/** An event of the live stream: its fields as the event stream names them, `data` read as JSON. */
export const TaskEvent = OneOf(
  'event',
  [
    Type.Object({ event: Type.Literal('log'), id, data: LogData }, { $id: 'LogEvent' }),
    Type.Object({ event: Type.Literal('message'), id, data: MessageData }, { $id: 'MessageEvent' }),
    Type.Object({ event: Type.Literal('state'), id, data: StateData }, { $id: 'StateEvent' }),
    Type.Object({ event: Type.Literal('end'), id, data: Type.Object({ state: TaskState }) }, { $id: 'EndEvent' }),
  ],
  { $id: 'TaskEvent', description: '`data` is JSON text.' },
);
export type TaskEvent = Static<typeof TaskEvent>;

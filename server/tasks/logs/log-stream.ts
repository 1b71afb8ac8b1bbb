// Follows one script's log over one stream, which may begin with its start. A batch is acknowledged only after its
// commit, so that whatever a tentacle deletes is in the store (I3). After a broken stream the caller opens another one
// after the last stored line.
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { IsthmusError } from '../../../contract/errors.ts';
import type { LineEnding } from '../../../contract/task-stream.ts';
import type { GrpcClient } from '../../../lib/grpc/client.ts';
import { whenAborted } from '../../../lib/async/waiting.ts';
import type { Envelope } from '../../../proto/gen/isthmus/tentacle/v1/Envelope.ts';
import type { LogBatch__Output } from '../../../proto/gen/isthmus/tentacle/v1/LogBatch.ts';
import type { LogRequest } from '../../../proto/gen/isthmus/tentacle/v1/LogRequest.ts';
import type { ScriptStatus__Output } from '../../../proto/gen/isthmus/tentacle/v1/ScriptStatus.ts';
import type { TentacleClient } from '../../../proto/gen/isthmus/tentacle/v1/Tentacle.ts';
import type { NewLogLine } from '../../store/tasks/log-lines.ts';
import type { Fence } from '../../store/base.ts';
import { truncate } from '../execution/truncate.ts';
import { stopAfter, within } from '../../../lib/async/deadline.ts';

export interface LogCommit {
  readonly firstLine: number;
  readonly lines: readonly NewLogLine[];
  /** Set when these are the last lines of an ended script. */
  readonly end: ScriptStatus__Output | undefined;
}

export interface StartOrder {
  readonly envelope: Envelope;
  /** How long the tentacle may take to answer. */
  readonly deadlineMs: number;
  /** Called once, with the script's state after the start. */
  readonly onStarted: (status: ScriptStatus__Output) => Promise<void>;
}

export interface FollowOptions {
  readonly client: GrpcClient<TentacleClient>;
  readonly ticket: string;
  readonly executor: string;
  readonly fence: Fence;
  readonly storedLine: number;
  /** Starts the script first. */
  readonly start?: StartOrder | undefined;
  /** Asked once connected: then a script that has not started at this process never does. */
  readonly mayHaveRunElsewhere: () => boolean;
  /** Makes the lines durable; returns the last stored line. */
  readonly commit: (commit: LogCommit) => Promise<number>;
  /** The stream is cancelled when one of them aborts. */
  readonly signals: readonly AbortSignal[];
}

type LogCall = ClientDuplexStream<LogRequest, LogBatch__Output>;

/** How long a tentacle may take to delete a workspace before the completion is reported again. */
const COMPLETION_MS = 10_000;

export interface FollowedLog {
  readonly end: ScriptStatus__Output;
  /** Whether the tentacle has completed the ticket. Resolves later than the end, and never rejects. */
  readonly completed: Promise<boolean>;
}

/** Resolves with the script's end once everything up to it is stored. */
export async function followLog(options: FollowOptions): Promise<FollowedLog> {
  const { client, ticket, fence, signals } = options;
  const connected = await client.ready();
  const neverStart = options.mayHaveRunElsewhere();
  const start = neverStart ? undefined : options.start;
  const call = start === undefined ? connected.streamLogs() : connected.runScript();
  // The iterator below reports errors; one that comes after it has returned has no other listener.
  call.on('error', () => undefined);
  const unsubscribes = signals.map((signal) => whenAborted(signal, () => call.cancel()));
  try {
    const batches = (call as AsyncIterable<LogBatch__Output>)[Symbol.asyncIterator]();
    const first = { ticket, task: fence.task, epoch: fence.epoch, afterLine: options.storedLine, neverStart };
    call.write(start === undefined ? first : { ...first, start: start.envelope });
    if (start !== undefined) await readStart(batches, options, start);
    const end = await readBatches(call, batches, options);
    return { end, completed: isCompleted(call, batches) };
  } catch (thrown) {
    call.cancel();
    throw client.errorOf(thrown);
  } finally {
    for (const unsubscribe of unsubscribes) unsubscribe();
  }
}

async function readStart(
  batches: AsyncIterator<LogBatch__Output>,
  { ticket, executor }: FollowOptions,
  { deadlineMs, onStarted }: StartOrder,
): Promise<void> {
  const detail = `the start was not answered within ${deadlineMs} ms`;
  const late = (): IsthmusError => new IsthmusError('DEADLINE_EXCEEDED', detail, { hop: executor });
  // An answer that comes later is lost with the call; whether the script has started is then in doubt, and asked again.
  const next = await within(batches.next(), { ms: deadlineMs, late });
  if (next.done === true) throw new IsthmusError('UNREACHABLE', 'the start was not answered', { hop: executor });
  checkOwner(next.value, ticket, executor);
  const { started } = next.value;
  if (started === null) throw new IsthmusError('LOG_MALFORMED', 'the first batch has no state', { hop: executor });
  await onStarted(started);
}

async function readBatches(
  call: LogCall,
  batches: AsyncIterator<LogBatch__Output>,
  { ticket, executor, fence, commit }: FollowOptions,
): Promise<ScriptStatus__Output> {
  for (let next = await batches.next(); next.done !== true; next = await batches.next()) {
    const batch = next.value;
    checkOwner(batch, ticket, executor);
    const end = batch.end ?? undefined;
    const stored = await commit({
      firstLine: batch.firstLine,
      lines: batch.lines.map((line) => toLine(line, executor)),
      end,
    });
    if (end !== undefined && end.lastLine > stored) {
      throw new IsthmusError('LOG_GAP', `${executor} ended a log of ${end.lastLine} lines after line ${stored}`, {
        hop: executor,
      });
    }
    const complete = end !== undefined;
    call.write({ ticket, task: fence.task, epoch: fence.epoch, acknowledgedLine: stored, complete });
    if (end === undefined) continue;
    call.end();
    return end;
  }
  throw new IsthmusError('UNREACHABLE', 'the log ended before the script', { hop: executor });
}

/** Whether the stream goes on to report the ticket completed; a tentacle that cannot report it ends the stream. */
async function isCompleted(call: LogCall, batches: AsyncIterator<LogBatch__Output>): Promise<boolean> {
  try {
    const next = await stopAfter(
      COMPLETION_MS,
      () => call.cancel(),
      () => batches.next(),
    );
    return next.done !== true && next.value.end?.phase === 'COMPLETED';
  } catch {
    return false;
  } finally {
    call.cancel();
  }
}

function checkOwner(batch: LogBatch__Output, ticket: string, executor: string): void {
  const named = batch.end?.ticket === undefined || batch.end.ticket === '' ? batch.ticket : batch.end.ticket;
  if (batch.ticket === ticket && named === ticket) return;
  const detail = `${executor} answered for ticket ${truncate(named)} on the stream of ${ticket}`;
  throw new IsthmusError('TICKET_MISMATCH', detail, { hop: executor });
}

/** The streams of a log: the script's two, and the agent's own lines. */
const STREAMS: readonly string[] = ['stdout', 'stderr', 'agent'];

const ENDINGS: ReadonlyMap<string, LineEnding> = new Map([
  ['NEWLINE', 'newline'],
  ['OPEN', 'open'],
  ['RETURN', 'return'],
]);

function toLine(line: LogBatch__Output['lines'][number], executor: string): NewLogLine {
  const { stream, atMs, text } = line;
  const ending = ENDINGS.get(line.ending);
  // Both names are stored and shown as they are, neither masked nor counted: nothing else may be in them.
  if (!STREAMS.includes(stream) || ending === undefined) {
    const what = ending === undefined ? 'ending' : 'stream';
    throw new IsthmusError('LOG_MALFORMED', `a line of the log names an unknown ${what}`, { hop: executor });
  }
  return { stream, at: atMs, text, ending };
}

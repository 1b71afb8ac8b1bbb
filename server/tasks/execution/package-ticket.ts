// Runs one package ticket at one tentacle: acquire (a stream of progress), stage, activate, settle. All are idempotent
// at the tentacle, so after a lost answer the call is repeated under the same ticket.
import { IsthmusError, type ErrorCode } from '../../../contract/errors.ts';
import type { GrpcClient } from '../../../lib/grpc/client.ts';
import { whenAborted } from '../../../lib/async/waiting.ts';
import type { AcquireProgress__Output } from '../../../proto/gen/isthmus/tentacle/v1/AcquireProgress.ts';
import type { PackagePayload } from '../../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import type { PackageStatus__Output } from '../../../proto/gen/isthmus/tentacle/v1/PackageStatus.ts';
import type { TentacleClient } from '../../../proto/gen/isthmus/tentacle/v1/Tentacle.ts';
import type { DeltaHints } from '../../../proto/gen/isthmus/topology/v1/DeltaHints.ts';
import type { PackageSource } from '../../../proto/gen/isthmus/topology/v1/PackageSource.ts';
import type { Ticket } from '../../store/tasks/tickets.ts';
import type { StoreTransaction } from '../../store/store.ts';
import { truncate } from './truncate.ts';
import { endTicket, envelopeOf, markSent, reachExecutor, type MachineRun } from './machine-run.ts';
import { cutShortEnd, denialEnd, unansweredEnd, type TicketEnding } from './ticket-end.ts';
import { ProgressReport, tellAcquired, type AcquireDetail } from './package-progress.ts';
import { hasEnded } from '../outcome.ts';

export type PackageAction = 'acquire' | 'stage' | 'activate' | 'settle';

/** The package that is meant, and the source that its step names. */
export interface SourcesAbout {
  readonly id?: string | undefined;
  readonly version?: string | undefined;
  readonly feed?: string | undefined;
  /** The machine may not fetch. */
  readonly push?: boolean | undefined;
  /** The package is one file there, and is not unpacked. */
  readonly placed?: boolean | undefined;
}

/** The sources from which a tentacle may fetch a digest, nearest first, and the download token that allows it. */
export type FindSources = (
  executor: string,
  sha256: string,
  about?: SourcesAbout,
) => Promise<{
  readonly sources: readonly PackageSource[];
  readonly downloadToken: string;
  /** What a delta needs. */
  readonly delta?: DeltaHints | null;
  /** Of a machine that may not fetch: offers the bytes to it until the signal aborts. */
  readonly offer?: ((signal: AbortSignal) => Promise<void>) | undefined;
}>;

export interface PackageWork {
  readonly action: PackageAction;
  readonly payload: PackagePayload;
  readonly findSources: FindSources;
  /** What the step says of its sources. */
  readonly from?: Pick<SourcesAbout, 'feed' | 'push' | 'placed'> | undefined;
  /** Runs in the transaction that ends the ticket, when it has succeeded. */
  readonly onSucceeded?: ((tx: StoreTransaction) => Promise<void>) | undefined;
}

/** To unpack a large package takes minutes on a slow disk; a dead path ends the call earlier by itself. */
const UNPACK_DEADLINE_MS = 15 * 60_000;

/** A restarted mirror is back by then; a package without a source must not hold up a deployment for long. */
const NO_SOURCE_TIMEOUT_MS = 60_000;
const NO_SOURCE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['PACKAGE_UNAVAILABLE', 'SOURCE_FAILED']);

/** Runs `ticket` to its end. Returns the ended row. */
export async function runPackageTicket(run: MachineRun, ticket: Ticket, work: PackageWork): Promise<Ticket> {
  if (hasEnded(ticket)) return ticket;
  const { context, deps, reachabilityTimeout } = run;
  let current = ticket;
  const over = new AbortController();
  const { cancelLimitMs } = deps.tunables;
  // Fetching and staging change nothing that runs, so nobody waits for their end; the rest is worth a while to know.
  const isHarmless = work.action === 'acquire' || work.action === 'stage';
  const cut = isHarmless ? context.finish : later(context.finish, cancelLimitMs, over.signal);
  // What the step has done is settled even when its task has been cut short.
  const begins = work.action === 'settle' ? cut : context.finish;
  // A success has used the ticket up at the tentacle, and leaves nothing to report.
  const succeeded = (detail: object, also: PackageWork['onSucceeded']) =>
    endTicket(context, ticket.id, { state: 'succeeded', detail, completedAt: Date.now() }, also);
  // Any other end is told, so that a recorded order is worth nothing from then on.
  const unsuccessful = async (ending: TicketEnding, also?: PackageWork['onSucceeded']): Promise<Ticket> => {
    const ended = await endTicket(context, ticket.id, ending, also);
    if (ended.startedAt !== null) deps.completionReporter.add(ended, context.fence, Promise.resolve(false));
    return ended;
  };
  const noSourceUntilMs = performance.now() + NO_SOURCE_TIMEOUT_MS;
  const isTransient = ({ code }: IsthmusError) => NO_SOURCE.has(code) && performance.now() < noSourceUntilMs;
  try {
    const reached = await reachExecutor(
      run,
      { signals: [begins], reachabilityTimeout, isTransient },
      async (client, answered) => {
        current = await markSent(run, current);
        if (work.action === 'acquire') return acquire(run, client, current, work, answered);
        if (work.action === 'activate') return activate(run, client, current, work, cut);
        return switchTo(run, client, current, { ...work, action: work.action }, cut);
      },
    );
    if (reached.kind === 'gaveUp') return await unsuccessful(unansweredEnd(run, current, reached.lastError));
    const detail = reached.value;
    if (detail instanceof Withdrawn) {
      const { error } = detail;
      const tell = (tx: StoreTransaction) => warner(tx, run, ticket)(`not activated: ${error.message}`);
      return await unsuccessful(cutShortEnd(context, error), tell);
    }
    return await succeeded(detail, async (tx) => {
      await work.onSucceeded?.(tx);
      if (!('warnings' in detail)) return tellAcquired(tx, run, ticket, detail, work.payload);
      if (work.action === 'stage') await tellWarnings(tx, run, ticket, detail);
      if (work.action === 'activate') await tellLeftFolder(tx, run, ticket, detail);
    });
  } catch (thrown) {
    return await unsuccessful(denialEnd(context, thrown, current));
  } finally {
    over.abort();
  }
}

async function acquire(
  run: MachineRun,
  client: GrpcClient<TentacleClient>,
  ticket: Ticket,
  { payload, findSources, from }: PackageWork,
  answered: () => Promise<void>,
): Promise<AcquireDetail> {
  const { context, executor } = run;
  const startedMs = performance.now();
  const { id, version, sha256 = '' } = payload.package ?? {};
  const found = await findSources(executor, sha256, { id, version, ...from });
  const { sources, downloadToken, delta, offer } = found;
  const envelope = envelopeOf(run, ticket, {
    kind: 'acquire',
    payload: { ...payload, sources: [...sources], downloadToken, delta: delta ?? null },
  });
  const call = (await client.ready()).acquirePackage({ envelope });
  const over = new AbortController();
  const offered = offer?.(over.signal);
  call.on('error', () => undefined);
  const unsubscribes = [context.halt, context.finish].map((signal) => whenAborted(signal, () => call.cancel()));
  const report = new ProgressReport(run, ticket);
  try {
    for await (const received of call as AsyncIterable<AcquireProgress__Output>) {
      await answered();
      const progress = truncate(received);
      if (progress.done) return toDetail(progress, startedMs);
      await report.tell(progress);
    }
  } catch (thrown) {
    throw client.errorOf(thrown);
  } finally {
    for (const unsubscribe of unsubscribes) unsubscribe();
    call.cancel();
    over.abort();
    await offered;
  }
  throw new IsthmusError('UNREACHABLE', 'the download ended without a result', { hop: executor });
}

type Tell = (text: string, data?: object) => Promise<void>;

/** Appends warnings to the task's stream. */
function warner(tx: StoreTransaction, { context, target: machine }: MachineRun, { id: ticket }: Ticket): Tell {
  return async (text, data) => {
    await tx.taskEvents.append(
      context.task.id,
      { level: 'warning', at: Date.now(), machine, ticket, text: `${machine}: ${text}`, data },
      context.fence.epoch,
    );
  };
}

/** Where files of an earlier release lie that nobody removes. */
async function tellLeftFolder(
  tx: StoreTransaction,
  run: MachineRun,
  ticket: Ticket,
  { leftFolder }: PackageStatus__Output,
): Promise<void> {
  if (leftFolder === '') return;
  const text = `the step does not install to ${leftFolder} any more; what was installed there stays`;
  await warner(tx, run, ticket)(text, { leftFolder });
}

/** What the tentacle noticed while it staged the package, as messages of the task. */
async function tellWarnings(
  tx: StoreTransaction,
  run: MachineRun,
  ticket: Ticket,
  { warnings, warningsLeftOut }: PackageStatus__Output,
): Promise<void> {
  const tell = warner(tx, run, ticket);
  for (const { kind, file, line, text } of warnings) {
    const where = line === 0 ? file : `${file}:${line}`;
    await tell(where === '' ? text : `${where}: ${text}`, { kind, file, line });
  }
  if (warningsLeftOut > 0) await tell(`${warningsLeftOut} more warnings are left out`);
}

function toDetail({ from, receivedBytes, cached, failed }: AcquireProgress__Output, startedMs: number): AcquireDetail {
  return { from, bytes: cached ? 0 : receivedBytes, seconds: (performance.now() - startedMs) / 1000, cached, failed };
}

async function switchTo(
  run: MachineRun,
  client: GrpcClient<TentacleClient>,
  ticket: Ticket,
  { action, payload }: PackageWork & { readonly action: keyof typeof METHODS },
  cut: AbortSignal,
): Promise<PackageStatus__Output> {
  const envelope = envelopeOf(run, ticket, { kind: action, payload });
  const status = await client.unary<PackageStatus__Output>((c, o, done) => c[METHODS[action]]({ envelope }, o, done), {
    deadlineMs: UNPACK_DEADLINE_MS,
    signal: AbortSignal.any([run.context.halt, cut]),
  });
  return truncate(status);
}

/** The machine has stopped an activation because its task was cut short; the error says what is installed there now. */
class Withdrawn {
  readonly error: IsthmusError;

  constructor(error: IsthmusError) {
    this.error = error;
  }
}

/** Answers for a ticket that was cancelled, before its work and meanwhile. */
const WITHDRAWN: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['CANCELLED', 'TICKET_ALREADY_USED']);

/**
 * Activates. Once the task is cut short, its ticket is cancelled at the machine, whose answer tells how far it came.
 */
async function activate(
  run: MachineRun,
  client: GrpcClient<TentacleClient>,
  ticket: Ticket,
  work: PackageWork,
  cut: AbortSignal,
): Promise<PackageStatus__Output | Withdrawn> {
  const { context, deps } = run;
  const answered = new AbortController();
  const cancelling: Promise<unknown>[] = [];
  const cancel = (): void => {
    const payload = { reason: context.finishReason ?? 'cancel' };
    const envelope = envelopeOf(run, ticket, { kind: 'cancel', payload });
    const cancelled = client.unary((c, o, done) => c.cancelScript({ envelope }, o, done), {
      deadlineMs: deps.tunables.callDeadlineMs,
      signal: AbortSignal.any([context.halt, answered.signal]),
    });
    // The answer of the activation itself, or the limit, decides.
    cancelling.push(cancelled.catch(() => undefined));
  };
  const unsubscribe = whenAborted(context.finish, cancel);
  try {
    return await switchTo(run, client, ticket, { ...work, action: 'activate' }, cut);
  } catch (thrown) {
    const isAnswer = context.finish.aborted && !cut.aborted && !context.halt.aborted;
    // An error with a cause is of the transport, and no answer.
    const error = isAnswer && thrown instanceof IsthmusError && thrown.cause === undefined ? thrown : undefined;
    if (error !== undefined && WITHDRAWN.has(error.code)) return new Withdrawn(error);
    throw thrown;
  } finally {
    unsubscribe();
    answered.abort();
    await Promise.all(cancelling);
  }
}

const METHODS = { stage: 'stagePackage', activate: 'activatePackage', settle: 'settlePackage' } as const;

/** Aborts this long after `signal` has; never once `done` has aborted. */
function later(signal: AbortSignal, ms: number, done: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const unsubscribe = whenAborted(signal, () => {
    const timer = setTimeout(() => controller.abort(), ms);
    whenAborted(done, () => clearTimeout(timer));
  });
  whenAborted(done, unsubscribe);
  return controller.signal;
}

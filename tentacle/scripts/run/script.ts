// One script from acceptance to its end: it waits in the queue, starts once, is watched, and its output is logged. A
// script that is found in the journal after a restart continues from its state (recovery.ts decides).
//
//   ticket-record.ts   its state, in the journal          script-log.ts   its lines, and the output they come from
//   launch.ts          how it becomes a process           running.ts      how it ends; kill-switch.ts: on request
import { IsthmusError } from '../../../contract/errors.ts';
import type { Logger } from '../../../lib/telemetry/log.ts';
import { createMasker, type Masker } from '../../../lib/masking/masker.ts';
import { unlessAborted } from '../../../lib/async/waiting.ts';
import { bootId } from '../../../lib/boot-id.ts';
import type { ScriptPayload__Output } from '../../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import { reasonOf } from '../../system-errors.ts';
import type { Journal } from '../../journal/journal.ts';
import type { KillReason, ScriptEnd, ScriptSpec, TicketEntry, TicketState } from '../../journal/records.ts';
import type { TicketLog } from '../../logs/ticket-log.ts';
import type { IsolationQueue, Slot } from './isolation.ts';
import { KillSwitch } from './kill-switch.ts';
import type { OrphanOutput } from '../recovery/orphan-output.ts';
import { launchScript, notStarted, prepareScript, type LaunchContext, type PreparedScript } from '../launch/launch.ts';
import { signalGroup } from '../launch/child-process.ts';
import { RunningScript, type RunningState } from './running.ts';
import { ScriptLog } from './script-log.ts';
import { outputFinished } from './supervise.ts';
import { statusOf, type StatusMessage } from './status.ts';
import { TicketRecord } from './ticket-record.ts';
import type { Workspace } from '../workspace/workspace.ts';
import type { Workspaces } from '../workspace/workspaces.ts';

/** What every script of a tentacle shares. */
export interface ScriptContext extends LaunchContext {
  readonly journal: Journal;
  readonly queue: IsolationQueue;
  readonly workspaces: Workspaces;
  readonly logQuotaBytes: number;
  readonly killGraceMs: number;
  readonly orphanOutput: OrphanOutput;
  readonly log: Logger;
}

/** Process ids that one log line lists. */
const MOST_LISTED = 5;

/** A recovered script that has not started: `resume` starts it. */
interface Held {
  readonly start: () => Promise<void>;
  readonly freed: PromiseWithResolvers<void>;
}

/** A started script, and the launcher's report of its end, if there is one. */
interface Started {
  readonly state: RunningState;
  readonly exited: Promise<void> | undefined;
}

export class Script {
  readonly ticket: string;
  readonly task: string;
  readonly workspace: Workspace;
  readonly #context: ScriptContext;
  readonly #record: TicketRecord;
  readonly #log: ScriptLog;
  readonly #kill = new KillSwitch();
  readonly #stopping = new AbortController();
  #slot: Slot | undefined;
  #attempt: number;
  /** The leader of the script's process group, when this agent started it. */
  #leader: number | undefined;
  #flow: Promise<void> = Promise.resolve();
  #held: Held | undefined;

  constructor(context: ScriptContext, entry: TicketEntry, known: { readonly journalled: boolean }) {
    const { ticket, task, state } = entry;
    this.ticket = ticket;
    this.task = task;
    this.workspace = context.workspaces.of(ticket);
    this.#context = context;
    this.#record = new TicketRecord(context, entry, known);
    this.#attempt = 'attempt' in state ? state.attempt : 1;
    this.#log = new ScriptLog({
      ...{ ticket, journal: context.journal, workspace: this.workspace, log: context.log },
      quotaBytes: context.logQuotaBytes,
      onLines: () => this.#record.notify(),
    });
  }

  get state(): TicketState {
    return this.#record.state;
  }

  status(): StatusMessage {
    const { lastLine } = this.#log;
    return statusOf(this.ticket, this.state, { lastLine, heldBy: this.#slot?.heldBy ?? '' });
  }

  /** Calls back after every new line and every change of state. */
  onChange(listener: () => void): () => void {
    return this.#record.onChange(listener);
  }

  /** Resolves when the present state changes, or at once when the script has ended. */
  changed(): Promise<void> {
    return this.#record.changed();
  }

  /** The numbered log so far. */
  spool(): TicketLog {
    return this.#log.lines();
  }

  /**
   * Enters the queue and starts when it is this script's turn. Resolves when a state is on the disk to answer with;
   * rejects when the script did not start and left nothing behind.
   */
  async begin(payload: ScriptPayload__Output, spec: ScriptSpec, attempt: number): Promise<void> {
    const begun = Promise.withResolvers<void>();
    this.#attempt = attempt;
    this.#slot = this.#context.queue.enter({ task: this.task, isolation: spec.isolation });
    this.#flow = this.#guard(this.#waitAndRun(payload, spec, begun), begun);
    await begun.promise;
  }

  /** Keeps a recovered script from starting until a server asks for its ticket. A cancel ends it meanwhile. */
  hold(start: () => Promise<void>): void {
    const freed = Promise.withResolvers<void>();
    this.#held = { start, freed };
    const wait = async (): Promise<void> => {
      await unlessAborted(Promise.race([freed.promise, this.#kill.requested]), [this.#stopping.signal]);
      if (this.#held === undefined || this.#kill.reason === undefined) return;
      this.#held = undefined;
      await this.#end({ kind: this.#kill.reason }, 0);
    };
    this.#flow = this.#guard(wait());
  }

  /** Whether it waits for a server to ask for it. */
  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** A server asks for the ticket: a held script starts. Resolves when there is a state to answer with. */
  async resume(): Promise<void> {
    const start = this.#free();
    if (start === undefined) return;
    await start();
    if (this.state.phase !== 'waiting' || this.#slot?.waiting === true) return;
    await unlessAborted(this.changed(), [this.#stopping.signal]);
  }

  /** A held script that has run already, as far as the server knows, never starts here. */
  interruptHeld(detail: string): void {
    if (this.#free() !== undefined) this.endAfterwards(undefined, { kind: 'interrupted', detail }, 0);
  }

  /** Follows a script that an earlier agent started. */
  adopt(masker: Masker | undefined, state: RunningState): void {
    const { isolation } = state.spec;
    this.#slot = this.#context.queue.enter({ task: this.task, isolation }, { runsAlready: true });
    if (state.phase === 'killing') this.kill(state.reason);
    if (this.state.phase === 'starting') this.#record.noteIfPossible(state);
    const run = async (): Promise<void> => {
      await this.#log.follow(masker, this.#attempt, this.#stopping.signal);
      await this.#watch(state, undefined);
    };
    this.#flow = this.#guard(run());
  }

  /** Records an end that happened while no agent watched, after the rest of the output is read. */
  endAfterwards(masker: Masker | undefined, end: ScriptEnd, startedAtMs: number): void {
    const finish = async (): Promise<void> => {
      if (startedAtMs > 0 || end.kind === 'interrupted')
        await this.#log.follow(masker, this.#attempt, this.#stopping.signal);
      await this.#end(end, startedAtMs);
    };
    this.#flow = this.#guard(finish());
  }

  /** Requests the kill of the script. The first reason counts. */
  kill(reason: KillReason): void {
    this.#kill.request(reason);
  }

  /** Stops watching the script, which runs on. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#log.abandon();
    await this.#flow;
    await this.#log.close();
  }

  /** Writes the tombstone, then removes the workspace. */
  async complete(): Promise<void> {
    const { state } = this;
    if (state.phase !== 'ended') {
      throw new IsthmusError('SCRIPT_NOT_ENDED', `ticket ${this.ticket} is ${state.phase}`);
    }
    // Not synced: if it is lost, the end is still in the journal, and the ticket is still used up.
    this.#record.note({ ...state, phase: 'completed' });
    await this.#log.close();
    const abandoned = this.#leader !== undefined && !signalGroup(this.#leader, 0);
    await this.#context.workspaces.remove(this.workspace, { abandoned });
  }

  /** How to start a held script, to the first caller only; undefined once its kill was requested. */
  #free(): Held['start'] | undefined {
    if (this.#held === undefined || this.#kill.reason !== undefined) return undefined;
    const { start, freed } = this.#held;
    this.#held = undefined;
    freed.resolve();
    return start;
  }

  /**
   * A failure that nothing foresaw. Before the journal knows the ticket, it is `begun`'s; after that the script ends as
   * interrupted, and says why. While the agent stops, the next one goes on.
   */
  async #guard(flow: Promise<void>, begun?: PromiseWithResolvers<void>): Promise<void> {
    try {
      await flow;
    } catch (error) {
      if (!this.#record.journalled || this.#stopping.signal.aborted) return begun?.reject(error);
      await this.#endInterrupted(error);
      begun?.resolve();
    }
  }

  async #endInterrupted(error: unknown): Promise<void> {
    const { state, ticket } = this;
    this.#context.log.error({ err: error, ticket, phase: state.phase }, 'script flow failed');
    if (state.phase === 'ended') return;
    const detail = `the tentacle could not follow it: ${reasonOf(error)}`;
    try {
      await this.#end({ kind: 'interrupted', detail }, 'startedAtMs' in state ? state.startedAtMs : Date.now());
    } catch (second) {
      this.#context.log.error({ err: second, ticket }, 'the end of a script was not recorded');
    }
  }

  async #waitAndRun(
    payload: ScriptPayload__Output,
    spec: ScriptSpec,
    begun: PromiseWithResolvers<void>,
  ): Promise<void> {
    const slot = this.#slot!;
    const { signal } = this.#stopping;
    // A journalled script has a state to answer with: the agent need not wait for the disk to start up.
    if (this.#record.journalled) begun.resolve();
    if (slot.waiting) {
      if (!(await this.#wait(spec))) return;
      begun.resolve();
      await unlessAborted(Promise.race([slot.admitted, this.#kill.requested]), [signal]);
      if (this.#kill.reason !== undefined) return this.#end({ kind: this.#kill.reason }, 0);
    }
    signal.throwIfAborted();
    const started = await this.#start(payload, spec);
    begun.resolve();
    if (started !== undefined) await this.#watch(started.state, started.exited);
  }

  /** Journals `waiting`. False when that failed for a script that the journal knows: it has then ended. */
  async #wait(spec: ScriptSpec): Promise<boolean> {
    if (this.#record.journalled && this.state.phase === 'waiting') return true;
    try {
      await this.#record.set({ phase: 'waiting', spec });
      return true;
    } catch (error) {
      await this.#giveUp(notStarted(error, 'queued'));
      return false;
    }
  }

  /** Starts the script, once `starting` is on the disk. Undefined when it did not start: it has then ended. */
  async #start(payload: ScriptPayload__Output, spec: ScriptSpec): Promise<Started | undefined> {
    const attempt = this.#attempt;
    let masker: Masker;
    let prepared: PreparedScript;
    try {
      masker = createMasker(payload.sensitiveValues);
      prepared = await prepareScript(this.#context, this.workspace, payload, { task: this.task, spec });
      // Fails early: a script whose log cannot be kept must not start.
      this.spool();
      await this.#record.set({ phase: 'starting', spec, attempt, bootId: bootId() });
    } catch (error) {
      await this.#giveUp(notStarted(error, 'prepared'));
      return undefined;
    }
    const { launcher } = this.#context;
    const outcome = await launchScript(launcher, this.workspace, attempt, prepared, this.#stopping.signal);
    if (outcome.kind === 'over') {
      await this.#end(outcome.end, outcome.startedAtMs);
      return undefined;
    }
    const { childProcess, startedAtMs, exited } = outcome;
    this.#leader = childProcess.pid;
    const state = { phase: 'running', spec, attempt, childProcess, startedAtMs } as const;
    // Not synced: until the next boot, the claim and the exit file say the same.
    this.#record.noteIfPossible(state);
    await this.#log.follow(masker, attempt, this.#stopping.signal);
    return { state, exited };
  }

  async #watch(state: RunningState, exited: Promise<void> | undefined): Promise<void> {
    const { killGraceMs, log } = this.#context;
    const parts = { record: this.#record, workspace: this.workspace, kill: this.#kill, killGraceMs, log };
    const running = new RunningScript({ ...parts, stopping: this.#stopping.signal }, state);
    const end = await running.end(exited);
    const leftOpen = end.kind === 'exited' ? await this.#finishOutput(state) : undefined;
    if (end.kind === 'timed-out') await this.#log.note(`TIME_LIMIT: killed after ${state.spec.timeLimitS} s`);
    await this.#end(end, state.startedAtMs, leftOpen);
  }

  /** Waits a while until no process has the output open. Returns the log line about those that still have. */
  async #finishOutput({ childProcess }: RunningState): Promise<string | undefined> {
    const left = await outputFinished(childProcess, this.workspace.path, this.#stopping.signal);
    if (left.length === 0) return undefined;
    const [which, hold] = left.length === 1 ? ['a process', 'holds'] : [`${left.length} processes`, 'hold'];
    const what = `the script left ${which} behind that ${hold} its output (${left.slice(0, MOST_LISTED).join(', ')})`;
    return `${what}: output after this line is not kept`;
  }

  async #end(end: ScriptEnd, startedAtMs: number, lastNote?: string): Promise<void> {
    const lastLine = await this.#log.finish(end, lastNote);
    const ended = { phase: 'ended', end, startedAtMs, endedAtMs: Date.now(), lastLine } as const;
    await this.#record.setWhenDiskAllows(ended, this.#stopping.signal);
    this.#slot?.leave();
    this.#context.orphanOutput.look();
    if (this.#context.user.isolated) this.workspace.shut();
  }

  /**
   * Handles a failed start. Once the ticket is journalled the failure is its end. Before that it is as if the ticket
   * had never come: everything is removed and `failure` is thrown.
   */
  async #giveUp(failure: IsthmusError): Promise<void> {
    if (this.#record.journalled) return this.#end({ kind: 'rejected', code: failure.code, detail: failure.message }, 0);
    this.#slot?.leave();
    await this.#log.close();
    await this.#context.workspaces.remove(this.workspace, { abandoned: false });
    throw failure;
  }
}

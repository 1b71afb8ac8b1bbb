// One script from acceptance to its end: waits for its turn, is started once, is watched, ended, and its log brought
// in. A script that was found in the journal after a restart goes on from the state it was in (recovery.ts decides).
import { setTimeout as delay } from 'node:timers/promises';
import { IsthmusError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { createMasker, type Masker } from '../../lib/masker.ts';
import type { ScriptPayload__Output } from '../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import { diskError } from '../disk-errors.ts';
import type { Journal } from '../journal/journal.ts';
import type {
  KillReason,
  ProcessIdentity,
  ScriptEnd,
  ScriptSpec,
  TicketEntry,
  TicketState,
} from '../journal/records.ts';
import { LogPump } from '../logs/pump.ts';
import { TicketLog } from '../logs/ticket-log.ts';
import { scriptEnvironment } from './environment.ts';
import { interpreterCommand } from './interpreters.ts';
import type { IsolationQueue, Place } from './isolation.ts';
import type { StartedProcess } from './exit-file.ts';
import type { Launcher, LaunchRequest } from './launcher.ts';
import { bootId, signalGroup } from './process.ts';
import type { ScriptUser } from './script-user.ts';
import { statusOf, type StatusMessage } from './status.ts';
import { endGroup, groupGone, leaderGone } from './supervise.ts';
import type { Workspace } from './workspace.ts';
import type { Workspaces } from './workspaces.ts';

/** What every script of a tentacle shares. */
export interface ScriptContext {
  readonly journal: Journal;
  readonly queue: IsolationQueue;
  readonly user: ScriptUser;
  readonly workspaces: Workspaces;
  readonly launcher: Launcher;
  /** What scripts inherit of the agent's environment. */
  readonly inherited: Readonly<Record<string, string>>;
  /** Where interpreters are looked for. */
  readonly path: string;
  readonly logQuotaBytes: number;
  readonly killGraceMs: number;
  readonly log: Logger;
  /** The folder of an application's staged or current release; throws APPLICATION_MISSING. */
  readonly applicationFolder: (application: string, stage: 'staged' | 'current') => Promise<string>;
}

/** A script that was started, and what is known of its end. */
interface Started {
  readonly state: TicketState & { readonly phase: 'running' };
  /** As a launcher tells it; undefined when it cannot. */
  readonly exited: Promise<number | undefined> | undefined;
}

/** Exit codes from here on may stand for a signal. */
const signalledFrom = 128;

/** A state that was not yet reached when the disk was full is tried again this often. */
const retryFullDiskMs = 500;

export class Script {
  readonly ticket: string;
  readonly task: string;
  readonly workspace: Workspace;
  readonly #context: ScriptContext;
  #state: TicketState;
  #place: Place | undefined;
  /** Whether the journal knows the ticket: until then a failure leaves no trace. */
  #journalled: boolean;
  #attempt: number;
  #spool: TicketLog | undefined;
  #pump: LogPump | undefined;
  readonly #killed = Promise.withResolvers<KillReason>();
  #killReason: KillReason | undefined;
  /** The leader of the script's group, once it was started by this agent. */
  #process: ProcessIdentity | undefined;
  readonly #stopping = new AbortController();
  readonly #listeners = new Set<() => void>();
  #flow: Promise<void> = Promise.resolve();

  constructor(
    context: ScriptContext,
    { ticket, task, state }: TicketEntry,
    { journalled }: { readonly journalled: boolean },
  ) {
    this.#context = context;
    this.#journalled = journalled;
    this.ticket = ticket;
    this.task = task;
    this.#state = state;
    this.#attempt = 'attempt' in state ? state.attempt : 1;
    this.workspace = context.workspaces.of(ticket);
  }

  get state(): TicketState {
    return this.#state;
  }

  status(): StatusMessage {
    const lastLine = this.#spool?.lastLine ?? 0;
    return statusOf(this.ticket, this.#state, { lastLine, heldBy: this.#place?.heldBy ?? '' });
  }

  /** Calls back after every new line and every change of state. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The numbered log so far. */
  spool(): TicketLog {
    this.#spool ??= TicketLog.open(this.#context.journal, this.ticket, this.workspace.lines);
    return this.#spool;
  }

  /**
   * Takes a place in the queue and starts when it is this script's turn. Resolves when there is a state on disk to
   * answer with; rejects when nothing was begun and nothing is left behind.
   */
  async begin(payload: ScriptPayload__Output, spec: ScriptSpec, attempt: number): Promise<void> {
    const begun = Promise.withResolvers<void>();
    this.#place = this.#context.queue.enter({ task: this.task, isolation: spec.isolation });
    this.#flow = this.#guard(this.#waitAndRun(payload, spec, attempt, begun), begun.reject);
    await begun.promise;
  }

  /** Goes on with a script that was started before the agent was. */
  adopt(masker: Masker | undefined, state: TicketState & { readonly phase: 'running' | 'killing' }): void {
    this.#place = this.#context.queue.enter(
      { task: this.task, isolation: state.spec.isolation },
      { runsAlready: true },
    );
    if (state.phase === 'killing') this.kill(state.reason);
    const run = async (): Promise<void> => {
      await this.#openLogIfPossible(masker);
      await this.#watch(state, undefined);
    };
    this.#flow = this.#guard(run());
  }

  /** Records an end that was found out, not witnessed; what is left of the output is brought in. */
  endAfterwards(masker: Masker | undefined, end: ScriptEnd, startedAtMs: number): void {
    const finish = async (): Promise<void> => {
      if (startedAtMs > 0 || end.kind === 'interrupted') await this.#openLogIfPossible(masker);
      await this.#end(end, startedAtMs);
    };
    this.#flow = this.#guard(finish());
  }

  /** Asks for the end of the script; the first reason given is the one that counts. */
  kill(reason: KillReason): void {
    if (this.#killReason !== undefined) return;
    this.#killReason = reason;
    this.#killed.resolve(reason);
  }

  /** Resolves when the present state changes, or at once when the script has ended. */
  async changed(): Promise<void> {
    const before = this.#state.phase;
    if (before === 'ended' || before === 'completed') return;
    await new Promise<void>((resolve) => {
      const stop = this.onChange(() => {
        if (this.#state.phase === before) return;
        stop();
        resolve();
      });
    });
  }

  /** Lets go of the script, which runs on. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#pump?.abandon();
    await this.#flow;
    await this.#pump?.stop();
    await this.#closeSpool();
  }

  /** Leaves the tombstone, then clears the workspace away. */
  async complete(): Promise<void> {
    if (this.#state.phase !== 'ended') {
      throw new IsthmusError('SCRIPT_NOT_ENDED', `ticket ${this.ticket} is ${this.#state.phase}`);
    }
    const state = { ...this.#state, phase: 'completed' } as const;
    // Not synced: without it, the end is still known, and the ticket is as used up.
    this.#context.journal.note({ kind: 'ticket', ticket: this.ticket, task: this.task, state });
    this.#change(state);
    await this.#closeSpool();
    const abandoned = this.#process !== undefined && !signalGroup(this.#process.pid, 0);
    await this.#context.workspaces.remove(this.workspace, { abandoned });
  }

  /** Errors after the answer was given go to the log: nobody waits for them any more. */
  async #guard(flow: Promise<void>, onFailure: (error: unknown) => void = () => undefined): Promise<void> {
    try {
      await flow;
    } catch (error) {
      onFailure(error);
      if (!this.#stopping.signal.aborted) {
        this.#context.log.error({ err: error, ticket: this.ticket, phase: this.#state.phase }, 'script flow failed');
      }
    }
  }

  async #waitAndRun(
    payload: ScriptPayload__Output,
    spec: ScriptSpec,
    attempt: number,
    begun: PromiseWithResolvers<void>,
  ): Promise<void> {
    const place = this.#place!;
    // The journal has an answer already, and the agent does not wait for its disk to start.
    if (this.#journalled) begun.resolve();
    if (place.waiting) {
      if (!(await this.#setWaiting(spec))) return;
      begun.resolve();
      await this.#unlessStopped(Promise.race([place.admitted, this.#killed.promise]));
      if (this.#killReason !== undefined) return this.#end({ kind: this.#killReason }, 0);
    }
    this.#stopping.signal.throwIfAborted();
    const started = await this.#start(payload, spec, attempt);
    begun.resolve();
    if (started !== undefined) await this.#watch(started.state, started.exited);
  }

  /** Has the script started, once `starting` is on the disk. Undefined when it was not, which is then its end. */
  async #start(payload: ScriptPayload__Output, spec: ScriptSpec, attempt: number): Promise<Started | undefined> {
    const { user, inherited, path } = this.#context;
    this.#attempt = attempt;
    try {
      const command = [...user.become, ...interpreterCommand(payload.interpreter, path), this.workspace.body];
      const workingFolder = await this.#workingFolder(spec);
      const environment = scriptEnvironment(inherited, user, payload.environment);
      const masker = createMasker(payload.sensitiveValues);
      this.workspace.prepare(payload.body, user);
      // A log that cannot be kept is a reason not to start.
      this.spool();
      await this.#set({ phase: 'starting', spec, attempt, bootId: bootId() });
      return await this.#launch(masker, spec, { command, workingFolder, environment });
    } catch (error) {
      const failure = diskError(error, 'the script could not be prepared');
      if (!this.#journalled) {
        await this.#undo();
        throw failure;
      }
      await this.#end({ kind: 'refused', code: failure.code, detail: failure.message }, 0);
      return undefined;
    }
  }

  async #launch(
    masker: Masker,
    spec: ScriptSpec,
    how: Pick<LaunchRequest, 'command' | 'workingFolder' | 'environment'>,
  ): Promise<Started | undefined> {
    const { stderr, exit } = this.workspace;
    const attempt = this.#attempt;
    const stdout = this.workspace.stdout(attempt);
    const launch = await this.#context.launcher.start({ stdout, stderr, exit, ...how });
    if (launch.kind === 'refused') {
      await this.#end({ kind: 'refused', code: launch.code, detail: launch.detail }, 0);
      return undefined;
    }
    const process = launch.kind === 'started' ? launch.process : await this.#startedByLost(attempt);
    if (process === undefined) return undefined;
    const { startedAtMs, ...identity } = process;
    const state = this.#runs(spec, { ...identity, bootId: bootId() }, startedAtMs);
    await this.#openLogIfPossible(masker);
    return { state, exited: launch.kind === 'started' ? launch.exited : undefined };
  }

  #runs(spec: ScriptSpec, process: ProcessIdentity, startedAtMs: number): Started['state'] {
    this.#process = process;
    const state = { phase: 'running', spec, attempt: this.#attempt, process, startedAtMs } as const;
    this.#change(state);
    // Not synced: while this boot lasts, the claim and the exit file tell the same.
    const { journal, log } = this.#context;
    try {
      journal.note({ kind: 'ticket', ticket: this.ticket, task: this.task, state });
    } catch (error) {
      log.warn({ err: error, ticket: this.ticket }, 'running state not journalled');
    }
    return state;
  }

  /** The launcher died with the order: whoever makes the claim first has the say, as after a restart of the agent. */
  async #startedByLost(attempt: number): Promise<StartedProcess | undefined> {
    const detail = 'the launcher was killed before it could tell whether the script has started';
    const started = this.workspace.started();
    if (started !== undefined) return started;
    if (this.workspace.takeClaim(attempt)) await this.#end({ kind: 'refused', code: 'SPAWN_FAILED', detail }, 0);
    else await this.#end({ kind: 'interrupted', detail }, Date.now());
    return undefined;
  }

  async #workingFolder(spec: ScriptSpec): Promise<string> {
    if (spec.application === '') return this.workspace.work;
    return this.#context.applicationFolder(spec.application, spec.applicationStage);
  }

  async #watch(
    state: TicketState & { readonly phase: 'running' | 'killing' },
    exited: Promise<number | undefined> | undefined,
  ): Promise<void> {
    const { process, startedAtMs, spec } = state;
    const limit = this.#limitTime(spec, startedAtMs);
    try {
      const gone = leaderGone(process, exited, this.#stopping.signal);
      await this.#unlessStopped(Promise.race([gone, this.#killed.promise]));
      await this.#end(await this.#howItEnded(state), startedAtMs);
    } finally {
      clearTimeout(limit);
    }
  }

  /** An exit code that is written down counts, also against a cancellation that came after it. */
  async #howItEnded(state: TicketState & { readonly phase: 'running' | 'killing' }): Promise<ScriptEnd> {
    const exitCode = this.workspace.exitCode();
    if (exitCode !== undefined && state.phase !== 'killing') return { kind: 'exited', exitCode };
    if (this.#killReason !== undefined) return this.#killGroup(state, this.#killReason);
    return this.#outliveLauncher(state);
  }

  async #killGroup(
    state: TicketState & { readonly phase: 'running' | 'killing' },
    reason: KillReason,
  ): Promise<ScriptEnd> {
    // The intent first, so that a killed agent does not take its own kill for the script's end. A full disk must not
    // keep the script alive, though.
    await this.#set({ ...state, phase: 'killing', reason }).catch((error: unknown) => {
      this.#context.log.warn({ err: error, ticket: this.ticket }, 'kill not journalled');
    });
    await endGroup(state.process, this.#context.killGraceMs, this.#stopping.signal);
    if (reason === 'timed-out') await this.#pump?.note(`TIME_LIMIT: killed after ${state.spec.timeLimitS} s`);
    return { kind: reason };
  }

  /** Nobody wrote an exit code down. Others of its group may run on: that is waited for; its code nobody will know. */
  async #outliveLauncher(state: TicketState & { readonly phase: 'running' | 'killing' }): Promise<ScriptEnd> {
    await this.#unlessStopped(Promise.race([groupGone(state.process, this.#stopping.signal), this.#killed.promise]));
    if (this.#killReason !== undefined) return this.#killGroup(state, this.#killReason);
    const exitCode = this.workspace.exitCode();
    if (exitCode !== undefined) return { kind: 'exited', exitCode };
    return {
      kind: 'interrupted',
      detail: 'its processes were killed from outside, so that its exit code is not known',
    };
  }

  #limitTime({ timeLimitS }: ScriptSpec, startedAtMs: number): NodeJS.Timeout | undefined {
    if (timeLimitS === 0) return undefined;
    const leftMs = Math.max(0, startedAtMs + timeLimitS * 1000 - Date.now());
    // setTimeout cannot count further than this, which is 24 days.
    return setTimeout(() => this.kill('timed-out'), Math.min(leftMs, 2 ** 31 - 1));
  }

  async #end(end: ScriptEnd, startedAtMs: number): Promise<void> {
    // Also one that a signal ended may have been in the middle of a line, or of a value that is to be masked.
    const cutOff = end.kind !== 'exited' || end.exitCode >= signalledFrom;
    await this.#pump?.finish(cutOff);
    if (end.kind === 'interrupted') {
      await this.#pump?.note(`SCRIPT_INTERRUPTED: the log is cut off here: ${end.detail}`);
    }
    this.#pump = undefined;
    const spool = this.spool();
    if (spool.lastLine > 0) await spool.sync();
    const lastLine = spool.lastLine;
    await this.#setWhenDiskAllows({ phase: 'ended', end, startedAtMs, endedAtMs: Date.now(), lastLine });
    this.#place?.leave();
    if (this.#context.user.isolated) this.workspace.shut();
  }

  async #openLog(masker: Masker | undefined): Promise<void> {
    const { stderr } = this.workspace;
    const stdout = this.workspace.stdout(this.#attempt);
    this.#pump = await LogPump.start({
      spool: this.spool(),
      paths: { stdout, stderr },
      masker,
      quotaBytes: this.#context.logQuotaBytes,
      onLines: () => this.#tell(),
    });
  }

  /** What becomes of the script counts, also when its output is lost. */
  async #openLogIfPossible(masker: Masker | undefined): Promise<void> {
    try {
      await this.#openLog(masker);
    } catch (error) {
      this.#context.log.error({ err: error, ticket: this.ticket }, 'the output of a script cannot be read');
    }
  }

  /** Before anything was answered: as if the ticket had never come. */
  async #undo(): Promise<void> {
    this.#place?.leave();
    await this.#pump?.stop();
    await this.#closeSpool();
    await this.workspace.remove();
  }

  async #closeSpool(): Promise<void> {
    const spool = this.#spool;
    this.#spool = undefined;
    await spool?.close();
  }

  /** False when that could not be written down of a script that the journal knows: it has ended with that. */
  async #setWaiting(spec: ScriptSpec): Promise<boolean> {
    if (this.#journalled && this.#state.phase === 'waiting') return true;
    try {
      await this.#set({ phase: 'waiting', spec });
      return true;
    } catch (error) {
      const failure = diskError(error, 'the script could not be queued');
      if (!this.#journalled) {
        await this.#undo();
        throw failure;
      }
      await this.#end({ kind: 'refused', code: failure.code, detail: failure.message }, 0);
      return false;
    }
  }

  async #setWhenDiskAllows(state: TicketState): Promise<void> {
    for (;;) {
      try {
        return await this.#set(state);
      } catch (error) {
        this.#context.log.warn({ err: error, ticket: this.ticket, phase: state.phase }, 'state not journalled yet');
        await delay(retryFullDiskMs, undefined, { signal: this.#stopping.signal });
      }
    }
  }

  async #set(state: TicketState): Promise<void> {
    await this.#context.journal.append({ kind: 'ticket', ticket: this.ticket, task: this.task, state });
    this.#journalled = true;
    this.#change(state);
  }

  #change(state: TicketState): void {
    this.#state = state;
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  async #unlessStopped<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.#stopping;
    signal.throwIfAborted();
    const stopped = Promise.withResolvers<never>();
    const stop = (): void => stopped.reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await Promise.race([promise, stopped.promise]);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }
}

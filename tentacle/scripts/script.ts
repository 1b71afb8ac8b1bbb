// One script from acceptance to its end: waits for its turn, is started once, is watched, ended, and its log brought
// in. A script that was found in the journal after a restart goes on from the state it was in (recovery.ts decides).
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { IsthmusError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { createMasker, type Masker } from '../../lib/masker.ts';
import type { ScriptPayload__Output } from '../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import { diskError } from '../disk-errors.ts';
import type { Journal } from '../journal/journal.ts';
import type { KillReason, ScriptEnd, ScriptSpec, TicketEntry, TicketState } from '../journal/records.ts';
import { LogPump } from '../logs/pump.ts';
import { Spool } from '../logs/spool.ts';
import { scriptEnvironment } from './environment.ts';
import { interpreterCommand } from './interpreters.ts';
import type { IsolationQueue, Place } from './isolation.ts';
import { bootId, identify } from './process.ts';
import type { ScriptUser } from './script-user.ts';
import { claimRefusedCode, spawnScript } from './spawn.ts';
import { statusOf, type StatusMessage } from './status.ts';
import { endGroup, groupGone, wrapperGone } from './supervise.ts';
import { Workspace } from './workspace.ts';

/** What every script of a tentacle shares. */
export interface ScriptContext {
  readonly journal: Journal;
  readonly queue: IsolationQueue;
  readonly user: ScriptUser;
  /** The folder that holds a workspace for each ticket. */
  readonly workspaces: string;
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
  #attempt = 0;
  #spool: Spool | undefined;
  #pump: LogPump | undefined;
  readonly #killed = Promise.withResolvers<KillReason>();
  #killReason: KillReason | undefined;
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
    this.workspace = new Workspace(join(context.workspaces, ticket));
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
  spool(): Spool {
    this.#spool ??= Spool.open(this.workspace.lines);
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
    await this.#context.journal.note({ kind: 'ticket', ticket: this.ticket, task: this.task, state });
    this.#change(state);
    await this.#closeSpool();
    await this.workspace.remove();
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
    if (started !== undefined) await this.#watch(started.state, started.child);
  }

  /** Spawns the script, once `starting` is on the disk. Undefined when the system refused, which is then its end. */
  async #start(
    payload: ScriptPayload__Output,
    spec: ScriptSpec,
    attempt: number,
  ): Promise<{ state: TicketState & { readonly phase: 'running' }; child: ChildProcess } | undefined> {
    const { user, inherited, path, journal } = this.#context;
    this.#attempt = attempt;
    try {
      const command = [...user.become, ...interpreterCommand(payload.interpreter, path)];
      const workingFolder = await this.#workingFolder(spec);
      this.workspace.prepare(payload.body, user);
      await this.#openLog(createMasker(payload.sensitiveValues));
      await this.#set({ phase: 'starting', spec, attempt, bootId: bootId() });
      const environment = scriptEnvironment(inherited, user, payload.environment);
      const child = await spawnScript({ workspace: this.workspace, attempt, command, workingFolder, environment });
      const process = identify(child.pid!) ?? { pid: child.pid!, startTicks: 0, bootId: bootId() };
      const state = { phase: 'running', spec, process, startedAtMs: Date.now() } as const;
      this.#change(state);
      // Neither synced nor waited for: while this boot lasts, the claim tells the same.
      journal.note({ kind: 'ticket', ticket: this.ticket, task: this.task, state }).catch((error: unknown) => {
        this.#context.log.warn({ err: error, ticket: this.ticket }, 'running state not journalled');
      });
      return { state, child };
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

  async #workingFolder(spec: ScriptSpec): Promise<string> {
    if (spec.application === '') return this.workspace.work;
    return this.#context.applicationFolder(spec.application, spec.applicationStage);
  }

  async #watch(
    state: TicketState & { readonly phase: 'running' | 'killing' },
    child: ChildProcess | undefined,
  ): Promise<void> {
    const { process, startedAtMs, spec } = state;
    const limit = this.#limitTime(spec, startedAtMs);
    try {
      await this.#unlessStopped(
        Promise.race([wrapperGone(process, child, this.#stopping.signal), this.#killed.promise]),
      );
      await this.#end(await this.#howItEnded(state, child), startedAtMs);
    } finally {
      clearTimeout(limit);
    }
  }

  /** An exit code that is written down counts, also against a cancellation that came after it. */
  async #howItEnded(
    state: TicketState & { readonly phase: 'running' | 'killing' },
    child: ChildProcess | undefined,
  ): Promise<ScriptEnd> {
    const exitCode = this.workspace.exitCode();
    if (exitCode !== undefined && state.phase !== 'killing') return { kind: 'exited', exitCode };
    if (this.#killReason !== undefined) return this.#killGroup(state, this.#killReason);
    if (child?.exitCode === claimRefusedCode && this.workspace.claimedAtMs(this.#attempt) === undefined) {
      return { kind: 'refused', code: 'DISK_FULL', detail: 'the workspace could not be written' };
    }
    // The wrapper ended by itself, but could not write the code down.
    if (typeof child?.exitCode === 'number') return { kind: 'exited', exitCode: child.exitCode };
    return this.#outliveWrapper(state);
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

  /** The wrapper was killed. Its script may run on: that is waited for, but its exit code nobody will know. */
  async #outliveWrapper(state: TicketState & { readonly phase: 'running' | 'killing' }): Promise<ScriptEnd> {
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
    const cutOff = end.kind !== 'exited';
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
    this.workspace.shut();
  }

  async #openLog(masker: Masker | undefined): Promise<void> {
    const { stdout, stderr } = this.workspace;
    this.#pump = await LogPump.start({
      spool: this.spool(),
      paths: { stdout, stderr },
      masker,
      quotaBytes: this.#context.logQuotaBytes,
      onLines: () => this.#tell(),
    });
  }

  /** After a restart: what became of the script counts, also when its output is lost. */
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

// The script engine: all tickets of this tentacle, and the rules that hold for each. A ticket starts at most once, for
// ever; a caller with a stale epoch is rejected (epoch-fence.ts); a ticket that may have been purged is rejected.
//
//   payload.ts   the order, decoded and checked
//   run/         one script from the queue to its end; isolation.ts: what may run beside it
//   launch/      the process that starts it and records its exit code; its interpreter, user and env
//   workspace/   its folder on disk, and the clean-up of what it left there
//   recovery/    what an agent that starts again does with each ticket; output of processes that outlive their script
import { statfsSync } from 'node:fs';
import { attempted, background, every } from '../../lib/async/background.ts';
import { SKEW_MS } from '../../certs/signer.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { CautiousClock } from '../../lib/async/cautious-clock.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { DAY_MS } from '../../lib/time.ts';
import type { ScriptPayload__Output } from '../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import type { Journal } from '../journal/journal.ts';
import type { LogSource } from '../logs/stream.ts';
import { DEFAULT_PATH } from '../../lib/programs.ts';
import { EpochFence } from './epoch-fence.ts';
import { interpreterCommand } from './launch/interpreters.ts';
import { IsolationQueue } from './run/isolation.ts';
import { notStarted } from './launch/launch.ts';
import { Launcher } from './launch/launcher.ts';
import { retryShortage } from '../system-errors.ts';
import { OrphanOutput } from './recovery/orphan-output.ts';
import { encodePayload, specOf } from './payload.ts';
import { recover } from './recovery/recovery.ts';
import { Script, type ScriptContext } from './run/script.ts';
import { grantScriptUserAccess, type ScriptUser } from './launch/script-user.ts';
import { WorkspaceSeal } from './workspace/sealed.ts';
import { statusOf, type StatusMessage } from './run/status.ts';
import { Workspaces } from './workspace/workspaces.ts';

export interface ScriptLimits {
  /** Text of one ticket's log; past it the script runs on and its output is dropped. */
  readonly logQuotaBytes: number;
  /** From SIGTERM to SIGKILL. */
  readonly killGraceMs: number;
  /** Shared scripts that run at the same time. */
  readonly mostRunning: number;
  /** Tickets that are not completed. Each keeps a workspace. */
  readonly mostOpen: number;
  /** The tentacle completes an ended ticket by itself when no server did for this long. */
  readonly abandonedAfterMs: number;
  /** With less free disk than this no script starts, so that running ones can still write their logs. */
  readonly keepFreeBytes: number;
}

export const DEFAULT_SCRIPT_LIMITS: ScriptLimits = {
  logQuotaBytes: 64 * 1024 * 1024,
  killGraceMs: 10_000,
  mostRunning: 64,
  mostOpen: 2_000,
  abandonedAfterMs: 7 * DAY_MS,
  keepFreeBytes: 64 * 1024 * 1024,
};

/** How often abandoned tickets are looked for. Their raw output is in clear, so it must not stay longer than needed. */
const SWEEP_EVERY_MS = 3600_000;

export interface EngineOptions {
  readonly dataDir: string;
  readonly journal: Journal;
  readonly user: ScriptUser;
  readonly inherited: Readonly<Record<string, string>>;
  readonly limits?: Partial<ScriptLimits>;
  readonly log: Logger;
  readonly releaseFolder: ScriptContext['releaseFolder'];
}

/** A verified order to start a script. */
export interface ScriptOrder {
  readonly ticket: string;
  readonly task: string;
  readonly epoch: number;
  readonly expiresAtMs: number;
  readonly payload: ScriptPayload__Output;
}

/** The ticket of a request, and the epoch of the caller: one that lost its lease has a lower epoch. */
export interface TicketKey {
  readonly ticket: string;
  readonly task: string;
  readonly epoch: number;
}

export class ScriptEngine {
  /** Rejects callers that lost their lease. Packages and log streams use it, too. */
  readonly epochs: EpochFence;
  readonly #journal: Journal;
  readonly #seal: WorkspaceSeal;
  readonly #limits: ScriptLimits;
  readonly #context: ScriptContext;
  readonly #open = new Map<string, Script>();
  readonly #starting = new Map<string, Promise<void>>();
  readonly #clock = new CautiousClock();
  #stopSweeps: () => void = () => undefined;

  private constructor(options: EngineOptions, seal: WorkspaceSeal, workspaces: Workspaces) {
    const { journal, user, inherited, log, releaseFolder } = options;
    this.epochs = new EpochFence(journal);
    this.#journal = journal;
    this.#seal = seal;
    this.#limits = { ...DEFAULT_SCRIPT_LIMITS, ...options.limits };
    this.#context = {
      ...{ journal, user, inherited, log, releaseFolder },
      queue: new IsolationQueue(this.#limits.mostRunning),
      workspaces,
      orphanOutput: new OrphanOutput({
        folder: workspaces.root,
        isOrphan: (path) => workspaces.isOutputOfOthers(path, { has: (ticket) => this.#isRead(ticket) }),
        log,
      }),
      launcher: new Launcher(log),
      path: inherited['PATH'] ?? DEFAULT_PATH,
      logQuotaBytes: this.#limits.logQuotaBytes,
      killGraceMs: this.#limits.killGraceMs,
    };
  }

  /** Opens the engine and recovers every script in the journal. */
  static async open(options: EngineOptions): Promise<ScriptEngine> {
    const { dataDir, user, log } = options;
    const workspaces = Workspaces.open(dataDir, { isolated: user.isolated, log });
    await grantScriptUserAccess(user, dataDir, workspaces.folder);
    const engine = new ScriptEngine(options, new WorkspaceSeal(dataDir), workspaces);
    await engine.#recover();
    await engine.#sweep();
    engine.#context.orphanOutput.look();
    engine.#stopSweeps = every(SWEEP_EVERY_MS, 'tickets.sweep', log, () => engine.#sweep());
    return engine;
  }

  /** How many scripts run now. */
  get runningCount(): number {
    return [...this.#open.values()].filter(({ state }) => state.phase === 'running' || state.phase === 'killing')
      .length;
  }

  /** Starts a script; returns the present state when the ticket is known already. */
  async start(order: ScriptOrder): Promise<StatusMessage> {
    try {
      return await this.#start(order);
    } catch (error) {
      throw this.#journal.ticket(order.ticket) === undefined ? notStarted(error, 'accepted') : error;
    }
  }

  async #start(order: ScriptOrder): Promise<StatusMessage> {
    const { ticket } = order;
    // Need not be synced: the start is journalled next.
    this.epochs.admitUnsynced(order.task, order.epoch);
    if (this.#known(order) === undefined) {
      // The same ticket may arrive twice at once: the second call waits for the outcome of the first.
      const starting = this.#starting.get(ticket) ?? this.#startNew(order);
      this.#starting.set(ticket, starting);
      try {
        await starting;
      } finally {
        this.#starting.delete(ticket);
      }
    }
    const script = this.#known(order);
    if (script === undefined)
      throw new IsthmusError('TICKET_ALREADY_USED', `ticket ${ticket} has run and is completed`);
    await script.resume();
    return script.status();
  }

  /** The present state of a ticket, also of a completed one. */
  async status(key: TicketKey): Promise<StatusMessage> {
    await this.epochs.admit(key.task, key.epoch);
    return this.#known(key)?.status() ?? this.#tombstone(key);
  }

  /**
   * Ends a script's whole process group. Idempotent; a script that has ended keeps its end. An unknown ticket is
   * consumed, on the disk: its start, or its order for a package, may still arrive, and is then rejected.
   */
  async cancel(key: TicketKey): Promise<StatusMessage> {
    await this.epochs.admit(key.task, key.epoch);
    await this.#consumeUnknown(key);
    const script = this.#known(key);
    if (script === undefined) return this.#tombstone(key);
    const { phase } = script.state;
    script.kill('cancelled');
    // A queued script ends at once. A running one takes its time, and the caller follows its log.
    if (phase === 'waiting') await script.changed();
    return script.status();
  }

  /** Writes the tombstone of an ended ticket and removes its workspace. Idempotent. */
  async complete(key: TicketKey): Promise<StatusMessage> {
    await this.epochs.admit(key.task, key.epoch);
    const script = this.#known(key);
    if (script !== undefined) await this.#complete(script);
    return this.#tombstone(key);
  }

  /**
   * The log of a ticket, of which the server has `afterLine` lines; TICKET_ALREADY_USED when it is completed, since its
   * log is removed by then. With `neverStart` a held script ends: it may have run elsewhere.
   */
  async log(key: TicketKey, { afterLine = 0, neverStart = false } = {}): Promise<LogSource> {
    await this.epochs.admit(key.task, key.epoch);
    const script = this.#known(key);
    if (script !== undefined) {
      if (afterLine > 0) script.interruptHeld('the journal is older than the log that the server has of it');
      if (neverStart)
        script.interruptHeld('it may have run in another process of this node, whose journal is not here');
      await script.resume();
      await retryShortage(() => script.spool());
      return script;
    }
    this.#tombstone(key);
    throw new IsthmusError('TICKET_ALREADY_USED', `ticket ${key.ticket} is completed, its log was stored and removed`);
  }

  /** Stops watching; the scripts run on. */
  async stop(): Promise<void> {
    this.#stopSweeps();
    await Promise.allSettled(this.#starting.values());
    await Promise.all([...this.#open.values()].map((script) => script.stop()));
    await this.#context.orphanOutput.stop();
    await this.#context.workspaces.stop();
    this.#context.launcher.stop();
  }

  async #recover(): Promise<void> {
    const tickets = this.#journal.tickets();
    const open = tickets.filter(({ state }) => state.phase !== 'completed');
    // Running scripts enter the queue before those that wait.
    const order = ['ended', 'killing', 'running', 'starting', 'waiting'];
    for (const entry of open.sort((a, b) => order.indexOf(a.state.phase) - order.indexOf(b.state.phase))) {
      this.#open.set(entry.ticket, await recover(this.#context, this.#seal, entry));
    }
    this.#context.workspaces.putAwayAllBut(this.#open);
  }

  /**
   * The script of a ticket that is not completed. A completed one may still be in the map while its workspace is
   * removed. TICKET_UNKNOWN when the ticket belongs to another task.
   */
  #known({ ticket, task }: { readonly ticket: string; readonly task: string }): Script | undefined {
    const script = this.#open.get(ticket);
    if (script !== undefined && script.task !== task) throw unknown(ticket);
    return script?.state.phase === 'completed' ? undefined : script;
  }

  /** Whether the raw output of a ticket is still being read. */
  #isRead(ticket: string): boolean {
    const phase = this.#open.get(ticket)?.state.phase;
    return phase !== undefined && phase !== 'ended' && phase !== 'completed';
  }

  #tombstone({ ticket, task }: TicketKey): StatusMessage {
    const entry = this.#journal.ticket(ticket);
    if (entry?.state.phase !== 'completed' || entry.task !== task) throw unknown(ticket);
    return statusOf(ticket, entry.state, { lastLine: 0, heldBy: '' });
  }

  async #startNew(order: ScriptOrder): Promise<void> {
    const { ticket, task, payload, expiresAtMs } = order;
    if (this.#journal.ticket(ticket) !== undefined) return;
    this.#journal.assertRemembered(ticket);
    if (Date.now() > expiresAtMs + SKEW_MS) {
      const times = `at ${new Date(expiresAtMs).toISOString()}, and the clock here says ${new Date().toISOString()}`;
      throw new IsthmusError('ENVELOPE_EXPIRED', `the order to start ticket ${ticket} expired ${times}`);
    }
    const spec = specOf(payload, expiresAtMs);
    interpreterCommand(payload.interpreter, this.#context.path);
    if (spec.installation !== undefined) await this.#context.releaseFolder(spec.installation, task);
    await this.#checkRoom();
    const script = new Script(
      this.#context,
      { ticket, task, state: { phase: 'waiting', spec } },
      { journalled: false },
    );
    await this.#createWorkspace(ticket, payload);
    this.#open.set(ticket, script);
    try {
      await script.begin(payload, spec, 1);
    } catch (error) {
      this.#open.delete(ticket);
      throw error;
    }
  }

  async #consumeUnknown({ ticket, task }: TicketKey): Promise<void> {
    for (let first = this.#starting.get(ticket); first !== undefined; first = this.#starting.get(ticket)) {
      // A start that failed leaves nothing behind, so that the ticket is still to be consumed.
      await first.catch(() => undefined);
    }
    if (this.#journal.ticket(ticket) !== undefined) return;
    this.#journal.assertRemembered(ticket);
    const ended = { end: { kind: 'cancelled' }, startedAtMs: 0, endedAtMs: Date.now(), lastLine: 0 } as const;
    const consumed = this.#journal.append({ kind: 'ticket', ticket, task, state: { phase: 'completed', ...ended } });
    this.#starting.set(ticket, consumed);
    try {
      await consumed;
    } finally {
      this.#starting.delete(ticket);
    }
  }

  async #createWorkspace(ticket: string, payload: ScriptPayload__Output): Promise<void> {
    const { workspaces } = this.#context;
    try {
      workspaces.create(ticket, this.#seal.seal(ticket, encodePayload(payload)));
    } catch (error) {
      await workspaces.remove(workspaces.of(ticket), { abandoned: false });
      throw error;
    }
  }

  async #sweep(): Promise<void> {
    await attempted('tickets.sweep', this.#context.log, () => this.#completeAbandoned());
    // Not awaited: it may take long, and no start may wait for it.
    const { log, workspaces } = this.#context;
    background('undeletable.sweep', log, () => workspaces.clearUndeletableFiles());
  }

  /** The ticket counts as open until its workspace is removed. */
  async #complete(script: Script): Promise<void> {
    try {
      await script.complete();
    } finally {
      if (script.state.phase === 'completed') this.#open.delete(script.ticket);
    }
  }

  /** Completes tickets that ended long ago: a server that never does must not fill the disk. */
  async #completeAbandoned(): Promise<void> {
    const before = this.#clock.now() - this.#limits.abandonedAfterMs;
    for (const [ticket, script] of this.#open) {
      // Nobody asked for it, and nobody will: its late start ends it.
      if (script.isHeld && 'spec' in script.state && Date.now() > script.state.spec.expiresAtMs + SKEW_MS) {
        await script.resume();
      }
      if (script.state.phase !== 'ended' || script.state.endedAtMs > before) continue;
      await this.#complete(script);
      this.#context.log.warn({ ticket, task: script.task }, 'an abandoned ticket was completed');
    }
  }

  async #checkRoom(): Promise<void> {
    if (this.#open.size >= this.#limits.mostOpen) await this.#completeAbandoned();
    if (this.#open.size >= this.#limits.mostOpen) {
      throw new IsthmusError('RESOURCE_EXHAUSTED', `${this.#open.size} tickets are open on this tentacle`);
    }
    const { bavail, bsize } = statfsSync(this.#context.workspaces.folder);
    if (bavail * bsize < this.#limits.keepFreeBytes) {
      throw new IsthmusError('DISK_FULL', `only ${bavail * bsize} bytes are free for workspaces`);
    }
  }
}

function unknown(ticket: string): IsthmusError {
  return new IsthmusError('TICKET_UNKNOWN', `there is no ticket ${ticket} here`);
}

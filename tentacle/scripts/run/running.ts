// Follows a running script to its end: it exits, is cancelled, exceeds its time limit, or is killed from outside. Its
// end is recorded only when it is known, never guessed.
import { LongTimer } from '../../../lib/async/long-timer.ts';
import type { Logger } from '../../../lib/telemetry/log.ts';
import { unlessAborted } from '../../../lib/async/waiting.ts';
import type { ProcessExit, ScriptEnd, TicketState } from '../../journal/records.ts';
import { retryShortage } from '../../system-errors.ts';
import type { KillSwitch } from './kill-switch.ts';
import { ageMs, isAlive } from '../launch/child-process.ts';
import { endGroup, groupGone, leaderGone, recordedExit } from './supervise.ts';
import type { TicketRecord } from './ticket-record.ts';
import type { Workspace } from '../workspace/workspace.ts';

export type RunningState = TicketState & { readonly phase: 'running' | 'killing' };

interface RunningParts {
  readonly record: TicketRecord;
  readonly workspace: Workspace;
  readonly kill: KillSwitch;
  readonly killGraceMs: number;
  /** Aborts when the agent stops; the script then runs on. */
  readonly stopping: AbortSignal;
  readonly log: Logger;
}

export class RunningScript {
  readonly #parts: RunningParts;
  readonly #state: RunningState;

  constructor(parts: RunningParts, state: RunningState) {
    this.#parts = parts;
    this.#state = state;
  }

  /**
   * Resolves with the script's end; rejects when the agent stops. `exited` is the launcher's report, if there is one.
   */
  async end(exited: Promise<void> | undefined): Promise<ScriptEnd> {
    const limit = this.#limitTime();
    try {
      await this.#unlessKilled(this.#leaderGone(exited));
      return await this.#howItEnded();
    } finally {
      limit?.stop();
    }
  }

  /** Resolves when the leader is gone, and its exit is recorded, if it ever will be. */
  async #leaderGone(exited: Promise<void> | undefined): Promise<void> {
    const { workspace, stopping } = this.#parts;
    await leaderGone(this.#state.childProcess, exited, stopping);
    await recordedExit(workspace, stopping);
  }

  /** A known exit counts, even when a kill was requested after it. */
  async #howItEnded(): Promise<ScriptEnd> {
    const { kill } = this.#parts;
    const exit = await this.#exitSoFar();
    if (exit !== undefined && this.#state.phase !== 'killing') return { kind: 'exited', exit };
    return kill.reason === undefined ? this.#endWithoutExit() : this.#killGroup(kill.reason);
  }

  #exitSoFar(): Promise<ProcessExit | undefined> {
    const { workspace, stopping } = this.#parts;
    return retryShortage(() => workspace.exitOfScript(), stopping);
  }

  async #killGroup(reason: NonNullable<KillSwitch['reason']>): Promise<ScriptEnd> {
    const { record, workspace, killGraceMs, stopping, log } = this.#parts;
    // The intent is journalled first, so that a restarted agent does not take its own kill for the script's own exit. A
    // full disk must not keep the script alive, though.
    await record.set({ ...this.#state, phase: 'killing', reason }).catch((error: unknown) => {
      log.warn({ err: error, ticket: record.ticket }, 'kill not journalled');
    });
    const { childProcess } = this.#state;
    await endGroup(childProcess, killGraceMs, stopping);
    return { kind: reason, exit: isAlive(childProcess) ? undefined : await recordedExit(workspace, stopping) };
  }

  /** No exit was recorded, and none will be. Waits for other processes of the group that run on. */
  async #endWithoutExit(): Promise<ScriptEnd> {
    const { kill, stopping } = this.#parts;
    await this.#unlessKilled(groupGone(this.#state.childProcess, stopping));
    if (kill.reason !== undefined) return this.#killGroup(kill.reason);
    const exit = await this.#exitSoFar();
    if (exit !== undefined) return { kind: 'exited', exit };
    return {
      kind: 'interrupted',
      detail: 'its processes were killed from outside, so that its exit code is not known',
    };
  }

  /** Waits for `gone`, or for a kill. */
  async #unlessKilled(gone: Promise<void>): Promise<void> {
    const { kill, stopping } = this.#parts;
    await unlessAborted(Promise.race([gone, kill.requested]), [stopping]);
  }

  #limitTime(): LongTimer | undefined {
    const { spec, childProcess } = this.#state;
    if (spec.timeLimitS === 0) return undefined;
    const ranMs = ageMs(childProcess);
    // Monotonic: the clock of the machine may be set meanwhile.
    const now = () => performance.now();
    return new LongTimer(now() + spec.timeLimitS * 1000 - ranMs, () => this.#parts.kill.request('timed-out'), { now });
  }
}

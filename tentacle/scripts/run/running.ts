// A script that runs, until it has ended: of itself, because somebody or its time limit wants that, or because it was
// killed from outside. What it ended with is told, never guessed.
import { LongTimer } from '../../../lib/async/long-timer.ts';
import type { Logger } from '../../../lib/telemetry/log.ts';
import { unlessAborted } from '../../../lib/async/waiting.ts';
import type { ScriptEnd, TicketState } from '../../journal/records.ts';
import type { KillSwitch } from './kill-switch.ts';
import { ageMs } from '../launch/child-process.ts';
import { endGroup, endWritten, groupGone, leaderGone } from './supervise.ts';
import type { TicketRecord } from './ticket-record.ts';
import type { Workspace } from '../workspace/workspace.ts';

export type RunningState = TicketState & { readonly phase: 'running' | 'killing' };

interface RunningParts {
  readonly record: TicketRecord;
  readonly workspace: Workspace;
  readonly kill: KillSwitch;
  readonly killGraceMs: number;
  /** Aborts when the agent stops; the script runs on then. */
  readonly stopping: AbortSignal;
  readonly log: Logger;
}

export class RunningScript {
  readonly #parts: RunningParts;
  readonly #state: RunningState;
  /** The exit code, as the launcher told it. */
  #told: number | undefined;

  constructor(parts: RunningParts, state: RunningState) {
    this.#parts = parts;
    this.#state = state;
  }

  /** Resolves with how it ended; rejects when the agent stops. `exited` is what its launcher tells, if that can. */
  async end(exited: Promise<number | undefined> | undefined): Promise<ScriptEnd> {
    const limit = this.#limitTime();
    try {
      await this.#unlessKilled(this.#leaderGone(exited));
      return await this.#howItEnded();
    } finally {
      limit?.stop();
    }
  }

  /** Resolves when its leader is gone, and it is known how, if it ever will be. */
  async #leaderGone(exited: Promise<number | undefined> | undefined): Promise<void> {
    const { workspace, stopping } = this.#parts;
    await leaderGone(this.#state.process, exited, stopping);
    this.#told = await exited;
    if (this.#told === undefined) await endWritten(workspace, stopping);
  }

  /** An exit code that is known counts, also against a cancellation that came after it. */
  async #howItEnded(): Promise<ScriptEnd> {
    const { workspace, kill } = this.#parts;
    const exitCode = this.#told ?? workspace.exitCode();
    if (exitCode !== undefined && this.#state.phase !== 'killing') return { kind: 'exited', exitCode };
    return kill.reason === undefined ? this.#outliveLauncher() : this.#killGroup(kill.reason);
  }

  async #killGroup(reason: NonNullable<KillSwitch['reason']>): Promise<ScriptEnd> {
    const { record, killGraceMs, stopping, log } = this.#parts;
    // The intent first, so that a killed agent does not take its own kill for the script's end. A full disk must not
    // keep the script alive, though.
    await record.set({ ...this.#state, phase: 'killing', reason }).catch((error: unknown) => {
      log.warn({ err: error, ticket: record.ticket }, 'kill not journalled');
    });
    await endGroup(this.#state.process, killGraceMs, stopping);
    return { kind: reason };
  }

  /** Nobody wrote an exit code down. Others of its group may run on: that is waited for; its code nobody will know. */
  async #outliveLauncher(): Promise<ScriptEnd> {
    const { workspace, kill, stopping } = this.#parts;
    await this.#unlessKilled(groupGone(this.#state.process, stopping));
    if (kill.reason !== undefined) return this.#killGroup(kill.reason);
    const exitCode = workspace.exitCode();
    if (exitCode !== undefined) return { kind: 'exited', exitCode };
    return {
      kind: 'interrupted',
      detail: 'its processes were killed from outside, so that its exit code is not known',
    };
  }

  async #unlessKilled(gone: Promise<void>): Promise<void> {
    const { kill, stopping } = this.#parts;
    await unlessAborted(Promise.race([gone, kill.asked]), [stopping]);
  }

  #limitTime(): LongTimer | undefined {
    const { spec, process } = this.#state;
    if (spec.timeLimitS === 0) return undefined;
    // One that was gone before it could be looked at has no start.
    const ranMs = process.startTicks === 0 ? 0 : ageMs(process);
    // Whatever the clock of the machine is set to meanwhile.
    const now = () => performance.now();
    return new LongTimer(now() + spec.timeLimitS * 1000 - ranMs, () => this.#parts.kill.ask('timed-out'), { now });
  }
}

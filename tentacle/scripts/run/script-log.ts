// The log of one script: its numbered lines, and, while it runs, the pump that brings its output in.
import type { Logger } from '../../../lib/telemetry/log.ts';
import type { Masker } from '../../../lib/masking/masker.ts';
import type { Journal } from '../../journal/journal.ts';
import type { ScriptEnd } from '../../journal/records.ts';
import { LogPump } from '../../logs/pump.ts';
import { TicketLog } from '../../logs/ticket-log.ts';
import type { Workspace } from '../workspace/workspace.ts';

/** Exit codes from here on may stand for a signal. */
const SIGNALLED_FROM = 128;

interface ScriptLogOptions {
  readonly ticket: string;
  readonly journal: Journal;
  readonly workspace: Workspace;
  readonly quotaBytes: number;
  readonly log: Logger;
  readonly onLines: () => void;
}

export class ScriptLog {
  readonly #options: ScriptLogOptions;
  #lines: TicketLog | undefined;
  #pump: LogPump | undefined;

  constructor(options: ScriptLogOptions) {
    this.#options = options;
  }

  /** The numbered log so far. */
  lines(): TicketLog {
    const { journal, ticket, workspace } = this.#options;
    this.#lines ??= TicketLog.open(journal, ticket, workspace.lines);
    return this.#lines;
  }

  /** 0 also when nobody has opened it yet. */
  get lastLine(): number {
    return this.#lines?.lastLine ?? 0;
  }

  /** Brings in the output of an attempt. What becomes of the script counts, also when its output is lost. */
  async follow(masker: Masker | undefined, attempt: number): Promise<void> {
    const { ticket, workspace, quotaBytes, log, onLines } = this.#options;
    const paths = { stdout: workspace.stdout(attempt), stderr: workspace.stderr };
    try {
      this.#pump = await LogPump.start({ spool: this.lines(), paths, masker, quotaBytes, onLines });
    } catch (error) {
      log.error({ err: error, ticket }, 'the output of a script cannot be read');
    }
  }

  /** Adds a line of the agent's own, while output is brought in. */
  async note(text: string): Promise<void> {
    await this.#pump?.note(text);
  }

  /**
   * Takes what is left of the output of a script that has ended, and adds a last word of the agent's own. Resolves with
   * the last line, all being on the disk.
   */
  async finish(end: ScriptEnd, lastWord?: string): Promise<number> {
    // Also one that a signal ended may have been in the middle of a line, or of a value that is to be masked.
    const cutOff = end.kind !== 'exited' || end.exitCode >= SIGNALLED_FROM;
    await this.#pump?.finish(cutOff);
    if (lastWord !== undefined) await this.note(lastWord);
    if (end.kind === 'interrupted') await this.note(`SCRIPT_INTERRUPTED: the log is cut off here: ${end.detail}`);
    this.#pump = undefined;
    const lines = this.lines();
    if (lines.lastLine > 0) await lines.sync();
    return lines.lastLine;
  }

  /** The agent stops: a full disk is no longer waited for. */
  abandon(): void {
    this.#pump?.abandon();
  }

  /** Lets go of the output and of the lines. Idempotent; later readers are told that the ticket is completed. */
  async close(): Promise<void> {
    await this.#pump?.stop();
    const lines = this.#lines;
    this.#lines = undefined;
    await lines?.close();
  }
}

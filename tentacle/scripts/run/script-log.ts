// The log of one script: its numbered lines, and, while it runs, the pump that reads its output.
import type { Logger } from '../../../lib/telemetry/log.ts';
import type { Masker } from '../../../lib/masking/masker.ts';
import type { Journal } from '../../journal/journal.ts';
import type { ScriptEnd } from '../../journal/records.ts';
import { LogPump } from '../../logs/pump.ts';
import { retryShortage } from '../../system-errors.ts';
import { agentLine } from '../../logs/spool.ts';
import { TicketLog } from '../../logs/ticket-log.ts';
import type { Workspace } from '../workspace/workspace.ts';

/** Exit codes from here on may mean a signal, to the script or to its last command. */
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

  /** 0 also before the log is opened. */
  get lastLine(): number {
    return this.#lines?.lastLine ?? 0;
  }

  /** Starts reading the output of an attempt. */
  async follow(masker: Masker | undefined, attempt: number, stopping: AbortSignal): Promise<void> {
    const { workspace, quotaBytes, log, onLines } = this.#options;
    const paths = { stdout: workspace.stdout(attempt), stderr: workspace.stderr };
    const spool = await retryShortage(() => this.lines(), stopping);
    this.#pump = new LogPump({ spool, paths, masker, quotaBytes, onLines, log });
  }

  /** Adds a line of the agent's own. */
  async note(text: string): Promise<void> {
    if (this.#pump !== undefined) return this.#pump.note(text);
    this.lines().append([agentLine(text)]);
    this.#options.onLines();
  }

  /**
   * Reads the rest of the output of a script that has ended, and adds a last line of the agent's own. Resolves with the
   * number of the last line, once all lines are on the disk.
   */
  async finish(end: ScriptEnd, lastNote?: string): Promise<number> {
    // A script that a signal ended may also have stopped in the middle of a line, or of a sensitive value.
    const cutOff = end.kind !== 'exited' || end.exit.exitCode >= SIGNALLED_FROM;
    await this.#pump?.finish(cutOff);
    if (lastNote !== undefined) await this.note(lastNote);
    if (end.kind === 'interrupted') await this.note(`SCRIPT_INTERRUPTED: the log is cut off here: ${end.detail}`);
    this.#pump = undefined;
    const lines = this.lines();
    if (lines.lastLine > 0) await lines.sync();
    return lines.lastLine;
  }

  /** The agent stops: no longer wait for room on the disk. */
  abandon(): void {
    this.#pump?.abandon();
  }

  /** Closes the output and the lines. Idempotent; later readers get TICKET_ALREADY_USED. */
  async close(): Promise<void> {
    await this.#pump?.stop();
    const lines = this.#lines;
    this.#lines = undefined;
    await lines?.close();
  }
}

// What the services of this machine ask of systemd: to start and stop units, how they are, and what was said last.
import { existsSync } from 'node:fs';
import { isErrorCode, type ErrorCode } from '../../contract/errors.ts';
import { pause } from '../../lib/async/waiting.ts';
import { runProgram, type RunProgram } from '../../lib/programs.ts';
import type { HostLayout } from '../layout.ts';

export interface UnitState {
  /** `active`, `activating`, `failed` and so on, as systemd calls it. */
  readonly active: string;
  /** Its main process; undefined while there is none. */
  readonly pid: number | undefined;
  /** How often its process has ended by itself and was started again. */
  readonly crashes: number;
  /** Its process has ended, and will be started again or not. */
  readonly hasEnded: boolean;
  /** Which start of it this is, or was: its mark in the journal. */
  readonly invocation: string | undefined;
}

/** Of which a journal is asked: one start of a unit, or all since a moment, in milliseconds since 1970. */
type Asked = { readonly invocation: string } | { readonly sinceMs: number };

/** The last error that a component wrote to the journal before it ended. */
export interface LastError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string | undefined;
}

const PROPERTIES = ['ActiveState', 'SubState', 'MainPID', 'NRestarts', 'InvocationID'];
const LAST_LINES = 200;
const JOURNAL_ATTEMPTS = 5;
const JOURNAL_PAUSE_MS = 200;
/** As `isthmus` reports an error, which may have several lines, and what follows it. */
const ERROR_BEGIN = /^isthmus: /;
const ERROR_GOES_ON = /^ {9}/;
const ERROR = /^isthmus: (.*) \(([A-Z][A-Z0-9_]+)(?: at .*)?\)$/;
const REMEDY_LINE = /^ {2}what to do: (.*)$/;
/** As systemd reports what keeps it from running a component at all. */
const STEP_LINE = /: (Failed at step .*)$/;

/** The service manager of this machine. Rejects as `execFile` does where a command fails. */
export class Systemd {
  readonly #run: RunProgram;
  readonly #runtime: string;

  constructor(run: RunProgram = runProgram, runtime = '/run/systemd/system') {
    this.#run = run;
    this.#runtime = runtime;
  }

  /** Whether this machine was booted with systemd (sd_booted(3)). */
  isRunning(): boolean {
    return existsSync(this.#runtime);
  }

  /** Has the units read again, after one or what it links to has changed. */
  async reload(): Promise<void> {
    await this.#run('systemctl', 'daemon-reload');
  }

  async start(unit: string): Promise<void> {
    await this.#run('systemctl', 'start', unit);
  }

  /** Starts it anew, and counts its crashes from here on. */
  async restart(unit: string): Promise<void> {
    // A restart between two crashes does not end their count; that a unit is not loaded yet is no fault.
    await this.#run('systemctl', 'reset-failed', unit).catch(() => '');
    await this.#run('systemctl', 'restart', unit);
  }

  /** Resolves when its process has ended. A unit that does not run, or does not exist, is stopped already. */
  async stop(unit: string): Promise<void> {
    const { active } = await this.state(unit);
    if (active !== 'inactive') await this.#run('systemctl', 'stop', unit);
  }

  /** Kills every process of a unit, also those that its stop leaves. */
  async killAll(unit: string): Promise<void> {
    await this.#run('systemctl', 'kill', '--kill-who=all', '--signal=SIGKILL', unit).catch(() => '');
  }

  async state(unit: string): Promise<UnitState> {
    const shown = await this.#run('systemctl', 'show', `--property=${PROPERTIES.join(',')}`, unit);
    const values = new Map(shown.split('\n').map((line) => splitAt(line, '=')));
    const pid = Number(values.get('MainPID') ?? 0);
    const active = values.get('ActiveState') ?? 'inactive';
    const invocation = values.get('InvocationID') ?? '';
    return {
      active,
      pid: pid === 0 ? undefined : pid,
      crashes: Number(values.get('NRestarts') ?? 0),
      hasEnded: active === 'failed' || values.get('SubState') === 'auto-restart',
      invocation: invocation === '' ? undefined : invocation,
    };
  }

  /** What the component of a unit said last before it ended; undefined where the journal has nothing of that. */
  async lastError(unit: string, asked: Asked): Promise<LastError | undefined> {
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.#lastError(unit, asked);
      if (found !== undefined || attempt === JOURNAL_ATTEMPTS) return found;
      // What a process wrote may reach the journal after its end.
      await pause(JOURNAL_PAUSE_MS);
    }
  }

  async #lastError(unit: string, asked: Asked): Promise<LastError | undefined> {
    const which =
      'invocation' in asked
        ? // Of the component, or of systemd about it.
          [`_SYSTEMD_INVOCATION_ID=${asked.invocation}`, '+', `INVOCATION_ID=${asked.invocation}`]
        : [`--since=@${(asked.sinceMs / 1000).toFixed(3)}`, `--unit=${unit}`];
    const words = ['--no-pager', '--output=cat', `--lines=${LAST_LINES}`, ...which];
    const lines = (await this.#run('journalctl', ...words).catch(() => '')).split('\n');
    const errors = lines.flatMap((line, at) => (ERROR_BEGIN.test(line) ? [errorAt(lines, at)] : []));
    return errors.findLast((error) => error !== undefined) ?? failedStep(lines);
  }
}

/** The first line of what a program wrote to standard error. */
export function whatItSaid(thrown: unknown): string {
  const { stderr = '', message = String(thrown) } = thrown as Partial<Error & { readonly stderr: string }>;
  return stderr.split('\n').find((line) => line !== '') ?? message;
}

/** The systemd that runs the services of a host; undefined where none does, as for an image. */
export function systemdOf({ root }: HostLayout): Systemd | undefined {
  const systemd = new Systemd();
  return root === '/' && systemd.isRunning() ? systemd : undefined;
}

/** The error that begins in a line: each line of its message but the first is indented. */
function errorAt(lines: readonly string[], begin: number): LastError | undefined {
  const rest = lines.slice(begin + 1);
  const end = rest.findIndex((line) => !ERROR_GOES_ON.test(line));
  const others = rest.slice(0, end < 0 ? rest.length : end).map((line) => line.trim());
  const [, message, code] = ERROR.exec([lines[begin], ...others].join('; ')) ?? [];
  if (message === undefined || code === undefined || !isErrorCode(code)) return undefined;
  const remedies = rest.map((line) => REMEDY_LINE.exec(line)?.[1]);
  return { code, message, remedy: remedies.find((each) => each !== undefined) };
}

function failedStep(lines: readonly string[]): LastError | undefined {
  const steps = lines.map((line) => STEP_LINE.exec(line)?.[1]);
  const message = steps.findLast((step) => step !== undefined);
  return message === undefined ? undefined : { code: 'SERVICE_START_FAILED', message, remedy: undefined };
}

function splitAt(line: string, separator: string): [string, string] {
  const [name = '', ...rest] = line.split(separator);
  return [name, rest.join(separator)];
}

// Sends one ticket's log over one stream, in batches of up to 64 KiB or 50 ms, the first at once. No more than the
// window is in flight until the server acknowledges it. After the last line of an ended script comes its end.
import { setTimeout as delay } from 'node:timers/promises';
import { IsthmusError } from '../../contract/errors.ts';
import type { LogBatch } from '../../proto/gen/isthmus/tentacle/v1/LogBatch.ts';
import type { StatusMessage } from '../scripts/run/status.ts';
import type { SpooledLine } from './spool.ts';
import type { TicketLog } from './ticket-log.ts';

/** A small message costs as much as a large one, so a chatty script is sent in batches. */
const BATCH_BYTES = 64 * 1024;
const BATCH_MS = 50;
/** The most that is sent and not acknowledged, and so the most that is sent again when a stream breaks. */
const WINDOW_BYTES = 256 * 1024;

export interface LogSource {
  status(): StatusMessage;
  spool(): Pick<TicketLog, 'lastLine' | 'read'>;
  onChange(listener: () => void): () => void;
}

export interface LogSink {
  /** Resolves when there is room for more. */
  send(batch: LogBatch): Promise<void>;
}

export class LogSender {
  readonly #source: LogSource;
  readonly #sink: LogSink;
  #sentLine: number;
  #acknowledgedLine: number;
  /** Sizes of the batches in flight, each with its last line. */
  #inFlight: { readonly lastLine: number; readonly bytes: number }[] = [];
  #wake: () => void = () => undefined;
  readonly #failed = Promise.withResolvers<never>();
  #stopped = false;

  constructor(source: LogSource, afterLine: number, sink: LogSink) {
    this.#source = source;
    this.#sink = sink;
    this.#sentLine = afterLine;
    this.#acknowledgedLine = afterLine;
    this.#failed.promise.catch(() => undefined);
  }

  /** The server has stored every line up to this one. */
  acknowledge(line: number): void {
    if (line > this.#sentLine || line < this.#acknowledgedLine) {
      const range = `${this.#acknowledgedLine} to ${this.#sentLine}`;
      return this.fail(
        new IsthmusError('INVALID_FIELD', `line ${line} was acknowledged, which is not in ${range}`, {
          field: 'acknowledgedLine',
        }),
      );
    }
    this.#acknowledgedLine = line;
    this.#inFlight = this.#inFlight.filter(({ lastLine }) => lastLine > line);
    this.#wake();
  }

  /** Ends `run` with an error. */
  fail(error: IsthmusError): void {
    this.#stopped = true;
    this.#failed.reject(error);
    this.#wake();
  }

  /** The server is gone: `run` resolves. */
  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  /** Sends until the script's end is sent, or the stream stops or fails. */
  async run(): Promise<void> {
    const unsubscribe = this.#source.onChange(() => this.#wake());
    try {
      await Promise.race([this.#sendAll(), this.#failed.promise]);
    } finally {
      this.#stopped = true;
      unsubscribe();
    }
  }

  async #sendAll(): Promise<void> {
    const spool = this.#source.spool();
    while (!this.#stopped) {
      const changed = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      // The state is read before the lines: when the script has ended by then, the lines are complete.
      const status = this.#source.status();
      const ended = status.endedAtMs > 0;
      if (this.#bytesInFlight() >= WINDOW_BYTES) {
        await changed;
        continue;
      }
      const lines = spool.read(this.#sentLine, BATCH_BYTES);
      const last = ended && this.#sentLine + lines.length >= status.lastLine;
      if (lines.length === 0 && !last) {
        await changed;
        continue;
      }
      await this.#send(lines, last ? status : undefined);
      if (last) return;
      // Lines of the next moment go together; a batch that is half full or more need not wait.
      if (sizeOf(lines) < BATCH_BYTES / 2 && this.#sentLine >= spool.lastLine && !ended) await delay(BATCH_MS);
    }
  }

  async #send(lines: readonly SpooledLine[], end: StatusMessage | undefined): Promise<void> {
    const firstLine = this.#sentLine + 1;
    this.#sentLine += lines.length;
    this.#inFlight.push({ lastLine: this.#sentLine, bytes: sizeOf(lines) });
    const { ticket } = this.#source.status();
    await this.#sink.send({ ticket, firstLine, lines: [...lines], ...(end === undefined ? {} : { end }) });
  }

  #bytesInFlight(): number {
    return this.#inFlight.reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

function sizeOf(lines: readonly SpooledLine[]): number {
  return lines.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
}

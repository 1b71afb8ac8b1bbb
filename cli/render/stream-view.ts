// A task as it runs: the lines of its logs, and a line per machine below them. On a terminal, a line that is open is
// redrawn above the machines until it ends; elsewhere its parts are printed as they come.
import type { LogData } from '../../contract/task-stream.ts';
import type { Terminal } from '../terminal.ts';
import { escapeText } from './escape.ts';
import type { LiveRegion } from './live.ts';
import { lineKey, OpenLines, partText } from './open-lines.ts';

/** They must fit on a terminal beside the machines. */
const MOST_OPEN_LINES = 10;

export class StreamView {
  readonly #region: LiveRegion;
  readonly #redraws: boolean;
  readonly #open: OpenLines;
  #machines: readonly string[] = [];

  constructor(region: LiveRegion, { redraws }: Terminal) {
    this.#region = region;
    this.#redraws = redraws;
    this.#open = new OpenLines({ redraws });
  }

  /** Replaces the lines of the machines, at the bottom. */
  showMachines(lines: readonly string[]): void {
    this.#machines = lines;
    this.#showBottom();
  }

  /** Shows a line, or what it goes on with. */
  showLog(part: LogData): void {
    const { line, isNew, ended } = this.#open.add(part);
    if (this.#redraws) {
      if (ended) this.#region.print(`${lineHead(part)}${line.text}`);
      if (!ended || !isNew) this.#showBottom();
      return;
    }
    const key = lineKey(part);
    const text = partText(part);
    // Other lines came in between, and there is nothing to go on with.
    if (text === '' && !isNew && !this.#region.isOpen(key)) return;
    this.#region.printPart(key, { head: lineHead(part), text, ends: ended });
  }

  /** Prints what is open, and leaves the machines at the bottom. */
  close(): void {
    if (this.#redraws) {
      for (const { firstPart, text } of this.#open.lines) this.#region.print(`${lineHead(firstPart)}${text}`);
      this.#region.update(this.#machines);
    }
    this.#region.close({ keep: true });
  }

  #showBottom(): void {
    const open = this.#open.lines.slice(-MOST_OPEN_LINES);
    const shown = open.map(({ firstPart, text }) => `${lineHead(firstPart)}${text}`);
    this.#region.update([...shown, ...this.#machines]);
  }
}

function lineHead({ machine, stream }: LogData): string {
  return `${escapeText(machine)} | ${stream === 'stderr' ? '! ' : ''}`;
}

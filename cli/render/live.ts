// Lines that scroll, and below them a few that are redrawn in place. Where output is not a terminal, only the lines.
import type { Terminal } from '../terminal.ts';

const redrawEveryMs = 60;

export class LiveRegion {
  readonly #terminal: Terminal;
  #drawn = 0;
  #waiting: string[] = [];
  #region: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Adds a line that stays. */
  print(line: string): void {
    this.#waiting.push(line);
    this.#later();
  }

  /** Replaces the lines at the bottom. */
  update(lines: readonly string[]): void {
    if (!this.#terminal.redraws) return;
    this.#region = lines;
    this.#later();
  }

  /** Writes what waits; with `keep` the bottom lines stay, else they go. */
  close({ keep }: { keep: boolean }): void {
    if (!keep) this.#region = [];
    this.#draw();
    this.#drawn = 0;
  }

  #later(): void {
    // Without a region there is nothing to redraw, and a line must not wait: the process may be killed.
    if (!this.#terminal.redraws) this.#draw();
    else this.#timer ??= setTimeout(() => this.#draw(), redrawEveryMs);
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // A terminal that does not know its width says 0.
    const width = this.#terminal.stdout.columns || 80;
    const erase = this.#drawn > 0 ? `\x1b[${this.#drawn}A\x1b[0J` : '';
    // A region line that wraps would take two rows and spoil the count.
    const region = this.#region.map((line) => line.slice(0, width - 1));
    const text = [...this.#waiting, ...region].map((line) => `${line}\n`).join('');
    if (erase !== '' || text !== '') this.#terminal.stdout.write(erase + text);
    this.#waiting = [];
    this.#drawn = region.length;
  }
}

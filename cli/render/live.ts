// Lines that scroll, and below them a few that are redrawn in place. Where output is not a terminal, only the lines.
import { createLogUpdate } from 'log-update';
import type { Terminal } from '../terminal.ts';

const REDRAW_EVERY_MS = 60;

export class LiveRegion {
  readonly #terminal: Terminal;
  readonly #canvas: Canvas;
  readonly #show: ReturnType<typeof createLogUpdate>;
  #waiting: string[] = [];
  #region: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#canvas = new Canvas(terminal.stdout);
    this.#show = createLogUpdate(this.#canvas as unknown as NodeJS.WritableStream, { showCursor: true });
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
    this.#show.done();
  }

  #later(): void {
    // Without a region there is nothing to redraw, and a line must not wait: the process may be killed.
    if (!this.#terminal.redraws) this.#draw();
    else this.#timer ??= setTimeout(() => this.#draw(), REDRAW_EVERY_MS);
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length > 0 || this.#region.length === 0) this.#show.clear();
    for (const line of this.#waiting.splice(0)) this.#canvas.write(`${line}\n`);
    if (this.#region.length > 0) {
      // Cut, not wrapped: a line is a machine.
      const width = this.#canvas.columns;
      this.#show(this.#region.map((line) => line.slice(0, width - 1)).join('\n'));
    }
    this.#canvas.flush();
  }
}

/** Collects a drawing, so that it reaches the terminal in one write and does not flicker. */
class Canvas {
  readonly #stdout: Terminal['stdout'];
  #drawing = '';

  constructor(stdout: Terminal['stdout']) {
    this.#stdout = stdout;
  }

  // A terminal that does not know its size says 0.
  get columns(): number {
    return this.#stdout.columns || 80;
  }

  get rows(): number {
    return this.#stdout.rows || 24;
  }

  write(text: string): void {
    this.#drawing += text;
  }

  flush(): void {
    if (this.#drawing !== '') this.#stdout.write(this.#drawing);
    this.#drawing = '';
  }
}

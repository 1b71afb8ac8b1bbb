// Lines that scroll above a few that are redrawn in place. When output is no terminal, only the former.
import { createLogUpdate } from 'log-update';
import type { Terminal } from '../terminal.ts';

const REDRAW_EVERY_MS = 60;

export class LiveRegion {
  readonly #terminal: Terminal;
  readonly #canvas: Canvas;
  readonly #show: ReturnType<typeof createLogUpdate>;
  #pending: string[] = [];
  #region: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#canvas = new Canvas(terminal.stdout);
    this.#show = createLogUpdate(this.#canvas as unknown as NodeJS.WritableStream, { showCursor: true });
  }

  /** Adds a line that stays. */
  print(line: string): void {
    this.#pending.push(line);
    this.#later();
  }

  /** Replaces the lines at the bottom. */
  update(lines: readonly string[]): void {
    if (!this.#terminal.redraws) return;
    this.#region = lines;
    this.#later();
  }

  /** Writes pending lines; with `keep` the bottom lines stay, else they are erased. */
  close({ keep }: { keep: boolean }): void {
    if (!keep) this.#region = [];
    this.#draw();
    this.#show.done();
  }

  #later(): void {
    // Without a terminal nothing is redrawn, and a line must not wait: the process may be killed.
    if (!this.#terminal.redraws) this.#draw();
    else this.#timer ??= setTimeout(() => this.#draw(), REDRAW_EVERY_MS);
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending.length > 0 || this.#region.length === 0) this.#show.clear();
    for (const line of this.#pending.splice(0)) this.#canvas.write(`${line}\n`);
    if (this.#region.length > 0) {
      // Cut, not wrapped: each machine has one line.
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

  // A terminal that does not know its size reports 0.
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

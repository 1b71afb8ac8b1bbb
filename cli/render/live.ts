// Lines that scroll above a few that are redrawn in place. When output is no terminal, only the former.
import { createLogUpdate } from 'log-update';
import type { Terminal } from '../terminal.ts';

const REDRAW_EVERY_MS = 60;

interface LinePart {
  readonly head: string;
  readonly text: string;
  readonly ends: boolean;
}

export class LiveRegion {
  readonly #terminal: Terminal;
  readonly #canvas: Canvas;
  readonly #show: ReturnType<typeof createLogUpdate>;
  #pending: string[] = [];
  #region: readonly string[] = [];
  /** The line that was printed last, and without its end. */
  #openLine: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
    this.#canvas = new Canvas(terminal.stdout);
    this.#show = createLogUpdate(this.#canvas as unknown as NodeJS.WritableStream, { showCursor: true });
  }

  /** Adds a line that stays. */
  print(line: string): void {
    this.#breakLine();
    this.#pending.push(`${line}\n`);
    this.#later();
  }

  /** Goes on with the line `key` when it was printed last and is open; else begins it, with `head`. */
  printPart(key: string, { head, text, ends }: LinePart): void {
    if (this.#openLine !== key) {
      this.#breakLine();
      this.#pending.push(head);
    }
    this.#pending.push(ends ? `${text}\n` : text);
    this.#openLine = ends ? undefined : key;
    this.#later();
  }

  isOpen(key: string): boolean {
    return this.#openLine === key;
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
    this.#breakLine();
    this.#draw();
    this.#show.done();
  }

  #breakLine(): void {
    if (this.#openLine !== undefined) this.#pending.push('\n');
    this.#openLine = undefined;
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
    for (const text of this.#pending.splice(0)) this.#canvas.write(text);
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

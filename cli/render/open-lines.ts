// Puts the parts of log lines together. A line that is open goes on with the next part of its ticket and stream,
// however many other lines come in between. Where lines are redrawn, one that returns is written anew by the next part.
import type { LogData } from '../../contract/task-stream.ts';
import { escapeText } from './escape.ts';

export interface LogLine {
  readonly firstPart: LogData;
  /** Escaped, as all parts so far say. */
  readonly text: string;
}

export class OpenLines {
  readonly #redraws: boolean;
  readonly #lines = new Map<string, { firstPart: LogData; text: string; returned: boolean }>();

  constructor({ redraws }: { readonly redraws: boolean }) {
    this.#redraws = redraws;
  }

  /** The lines that have not ended. */
  get lines(): readonly LogLine[] {
    return [...this.#lines.values()];
  }

  /** Adds a part: the line that it belongs to, which is `ended` when nothing more comes. */
  add(part: LogData): { readonly line: LogLine; readonly isNew: boolean; readonly ended: boolean } {
    const key = lineKey(part);
    const before = this.#lines.get(key);
    const line = before ?? { firstPart: part, text: '', returned: false };
    const text = partText(part);
    if (line.returned && text !== '') line.text = '';
    line.text += text;
    line.returned = part.ending === 'return';
    const ended = part.ending === 'newline' || (line.returned && !this.#redraws);
    if (ended) this.#lines.delete(key);
    else this.#lines.set(key, line);
    return { line, isNew: before === undefined, ended };
  }
}

/** The text of a part, escaped. A carriage return before a line feed belongs to the end of the line. */
export function partText({ text, ending }: LogData): string {
  return escapeText(ending === 'newline' && text.endsWith('\r') ? text.slice(0, -1) : text);
}

/** Names the line of a part among those that are open. */
export function lineKey({ ticket, stream }: LogData): string {
  return `${ticket} ${stream}`;
}

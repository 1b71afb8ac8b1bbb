// Renders tables and single records as text. Every cell is escaped: names and reports come from other machines.
import { escapeText } from './escape.ts';
import { textWidth } from './width.ts';

export type Cell = string | number | boolean | null | undefined | readonly string[];

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined || cell === '') return '-';
  if (typeof cell === 'object') return cell.length === 0 ? '-' : escapeText(cell.join(', '));
  return escapeText(String(cell));
}

/** Rows below their headings, columns aligned, no frame, nothing cut off. */
export function renderTable(headings: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [headings.map((heading) => heading.toUpperCase()), ...rows.map((row) => row.map(cellText))];
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => textWidth(line[column] ?? ''))));
  return lines
    .map((line) =>
      line
        .map((text, column) => padded(text, widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    ) // prettier-ignore
    .join('\n');
}

/** One record as `name  value` lines. */
export function renderRecord(fields: Readonly<Record<string, Cell>>): string {
  const width = Math.max(...Object.keys(fields).map((name) => name.length));
  return Object.entries(fields)
    .map(([name, value]) => `${name.padEnd(width)}  ${cellText(value)}`)
    .join('\n');
}

/** `padEnd` counts code units; a terminal counts columns. */
function padded(text: string, width: number): string {
  return text.padEnd(width - textWidth(text) + text.length);
}

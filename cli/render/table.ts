// Tables and single records as text. Every cell is escaped: names and reports come from other machines.
import Table from 'cli-table3';
import { escapeText } from './escape.ts';

export type Cell = string | number | boolean | null | undefined | readonly string[];

const plain = {
  top: '', 'top-mid': '', 'top-left': '', 'top-right': '',
  bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '',
  left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ',
}; // prettier-ignore

function cellText(cell: Cell): string {
  if (cell === null || cell === undefined || cell === '') return '-';
  if (typeof cell === 'object') return cell.length === 0 ? '-' : escapeText(cell.join(', '));
  return escapeText(String(cell));
}

/** Rows below their headings, columns aligned, no frame, nothing cut off. */
export function renderTable(headings: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const table = new Table({
    head: headings.map((heading) => heading.toUpperCase()),
    chars: plain,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) table.push(row.map(cellText));
  return trimLines(table.toString());
}

/** One record as `name  value` lines. */
export function renderRecord(fields: Readonly<Record<string, Cell>>): string {
  const width = Math.max(...Object.keys(fields).map((name) => name.length));
  return Object.entries(fields)
    .map(([name, value]) => `${name.padEnd(width)}  ${cellText(value)}`)
    .join('\n');
}

function trimLines(text: string): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

// A log that begins in the journal and moves to a file: the lines keep their numbers, whenever the agent dies.
import { existsSync } from 'node:fs';
import { truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { newId } from '../../lib/ids.ts';
import { tempDir } from '../../test/support/temp.ts';
import { Journal } from '../journal/journal.ts';
import type { NewLine } from './spool.ts';
import { TicketLog } from './ticket-log.ts';

const line = (number: number, bytes = 10): NewLine => ({
  ...{ stream: 'stdout', atMs: number, text: `${number} `.padEnd(bytes, 'x') },
  ending: 'NEWLINE',
  sourceEnd: number * bytes,
});

async function fresh(): Promise<{ folder: string; path: string; ticket: string; open: () => Promise<TicketLog> }> {
  const folder = await tempDir();
  const path = join(folder, 'lines');
  const ticket = newId();
  let journal: Journal | undefined;
  const open = async (): Promise<TicketLog> => {
    await journal?.close();
    journal = await Journal.open(folder);
    return TicketLog.open(journal, ticket, path);
  };
  onTestFinished(() => journal?.close());
  return { folder, path, ticket, open };
}

const numbers = (log: TicketLog): number[] => log.read(0, 1024 * 1024).map(({ atMs }) => atMs);
const upTo = (count: number): number[] => Array.from({ length: count }, (_none, index) => index + 1);

describe('the log of a ticket', () => {
  test('is in the journal while it is short, also after a restart', async () => {
    const { path, open } = await fresh();
    (await open()).append([line(1), line(2)]);
    const log = await open();
    log.append([line(3)]);
    expect([numbers(log), log.lastLine, log.countedBytes]).toEqual([upTo(3), 3, 48]);
    expect(log.position('stdout')).toEqual({ offset: 30, last: 'NEWLINE' });
    expect(log.read(1, 5).map(({ atMs }) => atMs)).toEqual([2]);
    expect(existsSync(path)).toBe(false);
  });

  test.each([
    ['bytes', 500],
    ['lines', 10],
  ])('moves to a file when it has too many %s, and goes on there', async (_what, bytes) => {
    const { path, open } = await fresh();
    const log = await open();
    for (const number of upTo(80)) log.append([line(number, bytes)]);
    expect(existsSync(path)).toBe(true);
    expect(numbers(log)).toEqual(upTo(80));
    await log.close();
    const again = await open();
    again.append([line(81, bytes)]);
    expect([numbers(again), again.lastLine]).toEqual([upTo(81), 81]);
    await again.close();
  });

  test('moves again when it was killed in the midst of that', async () => {
    const { path, open } = await fresh();
    const log = await open();
    log.append(upTo(6).map((number) => line(number)));
    log.append([line(7, 5000)]);
    await log.close();
    // Two lines and a half were written then.
    await truncate(path, 2 * (21 + 10) + 7);
    const again = await open();
    expect(numbers(again)).toEqual(upTo(6));
    again.append([line(7, 5000)]);
    expect(numbers(again)).toEqual(upTo(7));
    await again.close();
  });
});

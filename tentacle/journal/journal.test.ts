// The journal against torn writes, damage, age and size.
import type * as Fs from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { newId } from '../../lib/ids.ts';
import { tempDir } from '../../test/support/temp.ts';
import { Journal } from './journal.ts';
import type { TicketState } from './records.ts';

/** How many more syncs the disk refuses, and how many were requested. */
const disk = vi.hoisted(() => ({ denials: 0, syncs: 0 }));

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof Fs>();
  const fdatasync: (file: number, done: (error: Error | null) => void) => void = (file, done) => {
    disk.syncs += 1;
    if (disk.denials === 0) return fs.fdatasync(file, done);
    disk.denials -= 1;
    setImmediate(() => done(Object.assign(new Error('no room'), { code: 'ENOSPC' })));
  };
  return { ...fs, fdatasync };
});

const ended: TicketState = {
  ...{ phase: 'completed', end: { kind: 'exited', exit: { exitCode: 0 } } },
  ...{ startedAtMs: 1, endedAtMs: 2, lastLine: 0 },
};

function packageRecord(ticket: string) {
  return { kind: 'package', ticket, task: newId(), action: 'activate' } as const;
}

function ticketRecord(ticket: string, state: TicketState = ended, task = newId()) {
  return { kind: 'ticket', ticket, task, state } as const;
}

async function openJournal(folder: string, limits: Parameters<typeof Journal.open>[1] = {}): Promise<Journal> {
  const journal = await Journal.open(folder, limits);
  onTestFinished(() => journal.close().catch(() => undefined));
  return journal;
}

describe('journal', () => {
  test('remembers tickets and epochs', async () => {
    const folder = await tempDir();
    const journal = await openJournal(folder);
    const record = ticketRecord(newId());
    await journal.append(record, { kind: 'epoch', task: record.task, epoch: 7 });
    await journal.raiseEpoch(record.task, 3);
    await journal.close();
    const again = await openJournal(folder);
    expect(again.ticket(record.ticket)?.state).toEqual(ended);
    expect(again.epoch(record.task)).toBe(7);
    expect((await stat(join(folder, 'journal', 'journal'))).mode & 0o777).toBe(0o600);
  });

  test('cuts a torn end off and goes on behind it', async () => {
    const folder = await tempDir();
    const journal = await openJournal(folder);
    const [first, second] = [ticketRecord(newId()), ticketRecord(newId())];
    await journal.append(first);
    await journal.close();
    const path = join(folder, 'journal', 'journal');
    for (const torn of ['0123abcd {"kind":"tick', '0123abcd {}\n', 'garbage']) {
      await writeFile(path, (await readFile(path, 'utf8')) + torn);
      const again = await openJournal(folder);
      expect(again.tickets().length).toBeGreaterThan(0);
      await again.append(second);
      await again.close();
    }
    const last = await openJournal(folder);
    expect(last.tickets().map(({ ticket }) => ticket)).toEqual([first.ticket, second.ticket]);
  });

  test('rejects damage before its end rather than forget a start', async () => {
    const folder = await tempDir();
    const journal = await openJournal(folder);
    await journal.append(ticketRecord(newId()), ticketRecord(newId()));
    await journal.close();
    const path = join(folder, 'journal', 'journal');
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('completed', 'cOmpleted'));
    await expect(Journal.open(folder)).rejects.toMatchObject({ code: 'JOURNAL_DAMAGED' });
  });

  test('is rewritten when it is mostly history, and loses nothing', async () => {
    const folder = await tempDir();
    const journal = await openJournal(folder, { compactAboveBytes: 10_000 });
    const living = ticketRecord(newId());
    const used = packageRecord(newId());
    await journal.append(living, used);
    const task = newId();
    for (let epoch = 1; epoch <= 500; epoch += 1) await journal.raiseEpoch(task, epoch);
    await journal.close();
    expect((await stat(join(folder, 'journal', 'journal'))).size).toBeLessThan(12_000);
    const again = await openJournal(folder);
    expect(again.ticket(living.ticket)).toBeDefined();
    expect(again.packageTicket(used.ticket)).toMatchObject({ task: used.task, action: 'activate' });
    expect(again.epoch(task)).toBe(500);
  });

  test('forgets old tombstones behind a mark that is never lowered, and never a ticket that lives', async () => {
    const folder = await tempDir();
    const day = 24 * 3600_000;
    const limits = { compactAboveBytes: 1, retentionMs: day };
    const journal = await openJournal(folder, limits);
    const living = ticketRecord(newId(Date.now() - 10 * day), { ...ended, phase: 'ended' });
    const old = ticketRecord(newId(Date.now() - 2 * day));
    const young = ticketRecord(newId());
    const used = { old: packageRecord(newId(Date.now() - 2 * day)), young: packageRecord(newId()) };
    await journal.append(used.old, used.young);
    await journal.append(living);
    await journal.append(old);
    await journal.append(young);
    for (let index = 0; index < 20; index += 1) await journal.append(ticketRecord(newId()));
    await journal.close();
    const again = await openJournal(folder, limits);
    expect(again.ticket(old.ticket)).toBeUndefined();
    expect(again.ticket(living.ticket)).toBeDefined();
    expect(again.ticket(young.ticket)).toBeDefined();
    expect(again.packageTicket(used.young.ticket)).toBeDefined();
    expect(again.packageTicket(used.old.ticket)).toBeUndefined();
    expect(() => again.assertRemembered(used.old.ticket)).toThrow(expect.objectContaining({ code: 'TICKET_TOO_OLD' }));
    expect(again.lowWaterMs).toBeGreaterThan(Date.now() - 1.1 * day);
  });

  test('bounds the number of tombstones', async () => {
    const journal = await openJournal(await tempDir(), { mostTickets: 100 });
    for (let index = 0; index < 300; index += 1) await journal.append(ticketRecord(newId(1_700_000_000_000 + index)));
    expect(journal.tickets().length).toBeLessThanOrEqual(100);
    expect(journal.lowWaterMs).toBeGreaterThan(1_700_000_000_000);
  });

  test('a ticket id from the far future does not outdate all others', async () => {
    const journal = await openJournal(await tempDir(), { compactAboveBytes: 1, retentionMs: 1000 });
    await journal.append(ticketRecord(newId(Date.now() + 400 * 24 * 3600_000)));
    await journal.append(ticketRecord(newId()));
    expect(journal.lowWaterMs).toBeLessThan(Date.now() + 6 * 60_000);
  });

  test('a note is in the file at once, whoever waits for the disk, and stays when that fails', async () => {
    const folder = await tempDir();
    const journal = await openJournal(folder);
    const path = join(folder, 'journal', 'journal');
    const [first, second] = [ticketRecord(newId()), ticketRecord(newId())];
    disk.denials = 1;
    const rejected = expect(journal.append(first)).rejects.toMatchObject({ code: 'DISK_FULL' });
    journal.note(second);
    expect(await readFile(path, 'utf8')).toContain(second.ticket);
    await rejected;
    expect(journal.ticket(first.ticket)).toBeUndefined();
    expect(journal.ticket(second.ticket)).toBeDefined();
    await journal.close();
    const again = await openJournal(folder);
    expect(again.tickets().map(({ ticket }) => ticket)).toEqual([second.ticket]);
  });

  test('appends that come together share a sync', async () => {
    const journal = await openJournal(await tempDir());
    const records = Array.from({ length: 400 }, () => ticketRecord(newId()));
    const syncsBefore = disk.syncs;
    await Promise.all(records.map((record) => journal.append(record)));
    // Appends that come during a sync wait for the next one.
    expect(disk.syncs - syncsBefore).toBeLessThanOrEqual(2);
  });
});

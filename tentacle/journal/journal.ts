// The tentacle's journal: one append-only file, folded into memory. An append resolves when it is on the disk; appends
// that wait together share one fdatasync, so that many scripts can start in one breath.
//
// Bounded: the file is rewritten from memory when most of it is history, and tombstones are dropped in order of age
// behind a low-water mark that is written first. The mark follows the ids seen (the server's clock), never this clock.
import { appendFileSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../../lib/durable.ts';
import { IsthmusError } from '../../lib/errors.ts';
import { idTimeMs } from '../../lib/ids.ts';
import { diskError } from '../disk-errors.ts';
import { decodeRecord, encodeRecord, type JournalRecord, type TicketEntry } from './records.ts';

interface JournalLimits {
  /** How long a tombstone is kept: far longer than any envelope is good for. */
  readonly retentionMs: number;
  /** More tombstones than this raise the low-water mark early; each takes about 300 bytes. */
  readonly mostTickets: number;
  /** Below this size the file is not rewritten. */
  readonly compactAboveBytes: number;
}

const defaultLimits: JournalLimits = {
  retentionMs: 7 * 24 * 3600_000,
  mostTickets: 100_000,
  compactAboveBytes: 8 * 1024 * 1024,
};

/** A ticket id from further in the future than this does not move the mark: a wrong clock must not outdate all others. */
const mostClockSkewMs = 5 * 60_000;

interface PendingAppend {
  readonly record: JournalRecord;
  readonly line: Buffer;
  readonly durable: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Journal {
  readonly #folder: string;
  readonly #limits: JournalLimits;
  #file: FileHandle;
  #goodBytes: number;
  #compactedBytes = 0;
  /** The file may be longer than its good part: a write failed, and cutting it back did too. */
  #overhang = false;
  readonly #tickets = new Map<string, TicketEntry>();
  readonly #epochs = new Map<string, number>();
  #lowWaterMs = 0;
  #newestTicketMs = 0;
  #pending: PendingAppend[] = [];
  #writing: Promise<void> | undefined;

  private constructor(folder: string, file: FileHandle, limits: JournalLimits) {
    this.#folder = folder;
    this.#file = file;
    this.#limits = limits;
    this.#goodBytes = 0;
  }

  /** Opens or creates the journal; a torn end is cut off, damage before the end throws JOURNAL_DAMAGED. */
  static async open(dataDir: string, limits: Partial<JournalLimits> = {}): Promise<Journal> {
    const folder = join(dataDir, 'journal');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await rm(join(folder, 'journal.new'), { force: true });
    const file = await open(join(folder, 'journal'), 'a+', 0o600);
    const journal = new Journal(folder, file, { ...defaultLimits, ...limits });
    try {
      await journal.#load();
      syncFolder(folder);
      syncFolder(dataDir);
    } catch (error) {
      await file.close();
      throw error;
    }
    return journal;
  }

  ticket(ticket: string): TicketEntry | undefined {
    return this.#tickets.get(ticket);
  }

  tickets(): readonly TicketEntry[] {
    return [...this.#tickets.values()];
  }

  /** The highest epoch seen for a task; 0 when none was. */
  epoch(task: string): number {
    return this.#epochs.get(task) ?? 0;
  }

  /** Remembers a task's highest epoch: here and now, on the disk when the promise resolves. */
  async raiseEpoch(task: string, epoch: number): Promise<void> {
    await this.append(this.#raised(task, epoch));
  }

  /** As `raiseEpoch`, for a caller that appends something durable next: the file keeps the order. */
  async noteEpoch(task: string, epoch: number): Promise<void> {
    await this.note(this.#raised(task, epoch));
  }

  /**
   * Writes a record that a power cut may take away again, because what came before it tells enough to be safe. It
   * survives the agent, and goes to the disk with the next record that has to.
   */
  async note(record: JournalRecord): Promise<void> {
    await this.#enqueue([record], false);
  }

  /** Tickets created before this may have run and been forgotten. */
  get lowWaterMs(): number {
    return this.#lowWaterMs;
  }

  /** Writes records; resolves once they are on the disk. DISK_FULL when they could not be written: nothing changed. */
  async append(...records: readonly JournalRecord[]): Promise<void> {
    await this.#enqueue(records, true);
  }

  #raised(task: string, epoch: number): JournalRecord {
    const record = { kind: 'epoch', task, epoch } as const;
    this.#apply(record);
    return record;
  }

  async #enqueue(records: readonly JournalRecord[], durable: boolean): Promise<void> {
    const appended = records.map(
      (record) =>
        new Promise<void>((resolve, reject) => {
          this.#pending.push({ record, line: Buffer.from(encodeRecord(record)), durable, resolve, reject });
        }),
    );
    this.#writing ??= this.#writeAll();
    await Promise.all(appended);
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }

  async #writeAll(): Promise<void> {
    // One turn later, so that appends made in the same breath go together.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      try {
        const durable = batch.some((each) => each.durable);
        await this.#write(Buffer.concat(batch.map(({ line }) => line)), durable);
        for (const { record } of batch) this.#apply(record);
        for (const { resolve } of batch) resolve();
        await this.#keepBounded();
      } catch (error) {
        for (const { reject } of batch) reject(diskError(error, 'the journal cannot be written'));
      }
    }
    this.#writing = undefined;
  }

  /** After a failure the file is cut back: a half-written record must not stand in front of the next one. */
  async #write(lines: Buffer, durable: boolean): Promise<void> {
    if (this.#overhang) await this.#file.truncate(this.#goodBytes);
    this.#overhang = true;
    try {
      // To memory only, so that it takes no trip through the thread pool; the disk is waited for below.
      appendFileSync(this.#file.fd, lines);
      if (durable) await this.#file.datasync();
      this.#goodBytes += lines.length;
    } catch (error) {
      await this.#file.truncate(this.#goodBytes);
      this.#overhang = false;
      throw error;
    }
    this.#overhang = false;
  }

  async #load(): Promise<void> {
    const content = await readFile(join(this.#folder, 'journal'));
    let offset = 0;
    let damagedAt: number | undefined;
    while (offset < content.length) {
      const end = content.indexOf(0x0a, offset);
      const record = end < 0 ? undefined : decodeRecord(content.toString('utf8', offset, end));
      if (record === undefined) damagedAt ??= offset;
      else if (damagedAt !== undefined) {
        throw new IsthmusError('JOURNAL_DAMAGED', `the journal is damaged at byte ${damagedAt}, before its end`);
      } else this.#apply(record);
      offset = end < 0 ? content.length : end + 1;
    }
    this.#goodBytes = damagedAt ?? content.length;
    if (damagedAt !== undefined) await this.#file.truncate(damagedAt);
    this.#compactedBytes = this.#goodBytes;
  }

  #apply(record: JournalRecord): void {
    if (record.kind === 'ticket') {
      const { ticket, task, state } = record;
      this.#tickets.set(ticket, { ticket, task, state });
      this.#newestTicketMs = Math.max(this.#newestTicketMs, idTimeMs(ticket) ?? 0);
    } else if (record.kind === 'epoch') {
      this.#epochs.set(record.task, Math.max(record.epoch, this.epoch(record.task)));
    } else {
      this.#lowWaterMs = Math.max(this.#lowWaterMs, record.lowWaterMs);
      this.#forgetBelowMark();
    }
  }

  async #keepBounded(): Promise<void> {
    if (this.#tickets.size > this.#limits.mostTickets) await this.#raiseMark(this.#markForCount());
    const large = Math.max(this.#limits.compactAboveBytes, this.#compactedBytes * 4);
    if (this.#goodBytes < large) return;
    const newest = Math.min(this.#newestTicketMs, Date.now() + mostClockSkewMs);
    await this.#raiseMark(newest - this.#limits.retentionMs);
    await this.#compact();
  }

  /** Leaves room, so that not every following append raises the mark again. */
  #markForCount(): number {
    const times = [...this.#tickets.keys()].map((ticket) => idTimeMs(ticket) ?? 0).sort((a, b) => a - b);
    return times[Math.ceil(times.length / 10)]!;
  }

  async #raiseMark(lowWaterMs: number): Promise<void> {
    if (lowWaterMs <= this.#lowWaterMs) return;
    const record = { kind: 'mark', lowWaterMs } as const;
    await this.#write(Buffer.from(encodeRecord(record)), true);
    this.#apply(record);
  }

  #forgetBelowMark(): void {
    for (const [ticket, { state }] of this.#tickets) {
      if (state.phase === 'completed' && (idTimeMs(ticket) ?? 0) < this.#lowWaterMs) this.#tickets.delete(ticket);
    }
    const living = new Set([...this.#tickets.values()].map(({ task }) => task));
    for (const task of this.#epochs.keys()) {
      if (!living.has(task) && (idTimeMs(task) ?? 0) < this.#lowWaterMs) this.#epochs.delete(task);
    }
  }

  async #compact(): Promise<void> {
    const lines = [encodeRecord({ kind: 'mark', lowWaterMs: this.#lowWaterMs })];
    for (const [task, epoch] of this.#epochs) lines.push(encodeRecord({ kind: 'epoch', task, epoch }));
    for (const entry of this.#tickets.values()) lines.push(encodeRecord({ kind: 'ticket', ...entry }));
    const content = Buffer.from(lines.join(''));
    const path = join(this.#folder, 'journal.new');
    const next = await open(path, 'ax', 0o600);
    try {
      await next.writeFile(content);
      await next.sync();
      await rename(path, join(this.#folder, 'journal'));
    } catch (error) {
      await next.close();
      await rm(path, { force: true });
      throw error;
    }
    syncFolder(this.#folder);
    await this.#file.close();
    this.#file = next;
    this.#goodBytes = content.length;
    this.#compactedBytes = content.length;
  }
}

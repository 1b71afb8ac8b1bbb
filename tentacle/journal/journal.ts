// The tentacle's journal: one append-only file, folded into memory (memory.ts). A note is in the file when it is made;
// an append resolves when it is on the disk, and those that wait together share one fdatasync, so that many scripts can
// start in one breath. Notes do not wait for the disk, whoever else does.
//
// Bounded: the file is rewritten from memory when most of it is history, and tombstones are dropped in order of age
// behind a low-water mark that is written first. The mark follows the ids seen (the server's clock), never this clock.
import {
  appendFileSync,
  closeSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { syncFolder } from '../../lib/files/durable.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { diskError } from '../disk-errors.ts';
import { JournalMemory } from './memory.ts';
import { decodeRecord, encodeRecord, type JournalledLine, type JournalRecord, type TicketEntry } from './records.ts';

const dataSynced = promisify(fdatasync);

/** No file has this number. */
const CLOSED = -1;

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

/**
 * A ticket id from further in the future than this does not move the mark: a wrong clock must not outdate all others.
 */
const MOST_CLOCK_SKEW_MS = 5 * 60_000;

/** Records that somebody waits for: in the file, not yet on the disk, and not in memory before they are. */
interface Waiter {
  readonly records: readonly JournalRecord[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What the next sync is to bring to the disk, in the order of the file. */
interface Unsynced {
  readonly bytes: Buffer;
  readonly waiter: Waiter | undefined;
}

export class Journal {
  readonly #folder: string;
  readonly #limits: JournalLimits;
  #file: number;
  #goodBytes = 0;
  #compactAboveBytes = 0;
  /** The file may be longer than its good part: a write failed, and cutting it back did too. */
  #overhang = false;
  readonly #memory = new JournalMemory();
  #unsynced: Unsynced[] = [];
  #syncing: Promise<void> | undefined;

  private constructor(folder: string, file: number, limits: JournalLimits) {
    this.#folder = folder;
    this.#file = file;
    this.#limits = limits;
  }

  /** Opens or creates the journal; a torn end is cut off, damage before the end throws JOURNAL_DAMAGED. */
  static async open(dataDir: string, limits: Partial<JournalLimits> = {}): Promise<Journal> {
    const folder = join(dataDir, 'journal');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await rm(join(folder, 'journal.new'), { force: true });
    const file = openSync(join(folder, 'journal'), 'a+', 0o600);
    const journal = new Journal(folder, file, { ...defaultLimits, ...limits });
    try {
      journal.#load();
      syncFolder(folder);
      syncFolder(dataDir);
    } catch (error) {
      closeSync(file);
      throw error;
    }
    return journal;
  }

  ticket(ticket: string): TicketEntry | undefined {
    return this.#memory.ticket(ticket);
  }

  tickets(): readonly TicketEntry[] {
    return this.#memory.tickets();
  }

  /** The lines that were noted of a ticket's log, in order; none once it is completed. */
  lines(ticket: string): readonly JournalledLine[] {
    return this.#memory.lines(ticket);
  }

  /** The highest epoch seen for a task; 0 when none was. */
  epoch(task: string): number {
    return this.#memory.epoch(task);
  }

  /** Remembers a task's highest epoch: here and now, on the disk when the promise resolves. */
  async raiseEpoch(task: string, epoch: number): Promise<void> {
    const record = { kind: 'epoch', task, epoch } as const;
    this.#memory.apply(record);
    await this.append(record);
  }

  /** As `raiseEpoch`, for a caller that appends something durable next: the file keeps the order. */
  noteEpoch(task: string, epoch: number): void {
    this.note({ kind: 'epoch', task, epoch });
  }

  /**
   * Writes a record that a power cut may take away again, because what came before it tells enough to be safe. It
   * survives the agent, and goes to the disk with the next record that has to. DISK_FULL as `append`.
   */
  note(record: JournalRecord): void {
    this.#put(Buffer.from(encodeRecord(record)), undefined);
    this.#memory.apply(record);
    if (this.#syncing === undefined) this.#keepWithinLimit();
  }

  /** Tickets created before this may have run and been forgotten. */
  get lowWaterMs(): number {
    return this.#memory.lowWaterMs;
  }

  /** Writes records; resolves once they are on the disk. DISK_FULL when they could not be written: nothing changed. */
  async append(...records: readonly JournalRecord[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#put(Buffer.from(records.map(encodeRecord).join('')), { records, resolve, reject });
    this.#syncing ??= this.#syncAll();
    await promise;
  }

  /** Idempotent. What is written afterwards fails: the number of the file may be another's by then. */
  async close(): Promise<void> {
    await this.#syncing;
    if (this.#file !== CLOSED) closeSync(this.#file);
    this.#file = CLOSED;
  }

  /** To memory only, so that it takes no trip through the thread pool. After a failure the file is as it was. */
  #put(bytes: Buffer, waiter: Waiter | undefined): void {
    try {
      this.#cutBack();
      this.#overhang = true;
      appendFileSync(this.#file, bytes);
      this.#overhang = false;
    } catch (error) {
      throw notWritten(error);
    }
    this.#goodBytes += bytes.length;
    this.#unsynced.push({ bytes, waiter });
  }

  /** A half-written or refused record must not stand in front of the next one. */
  #cutBack(): void {
    if (!this.#overhang) return;
    ftruncateSync(this.#file, this.#goodBytes);
    this.#overhang = false;
  }

  async #syncAll(): Promise<void> {
    // One turn later, so that appends made in the same breath go together.
    await Promise.resolve();
    while (this.#unsynced.some(({ waiter }) => waiter !== undefined)) {
      const batch = [...this.#unsynced];
      const waiters = batch.flatMap(({ waiter }) => waiter ?? []);
      try {
        await dataSynced(this.#file);
      } catch (error) {
        for (const { reject } of waiters) reject(notWritten(error));
        this.#takeBack(new Set(waiters));
        continue;
      }
      this.#unsynced.splice(0, batch.length);
      for (const { records } of waiters) for (const record of records) this.#memory.apply(record);
      for (const { resolve } of waiters) resolve();
      this.#keepWithinLimit();
    }
    this.#syncing = undefined;
  }

  /** Takes records out of the file again that somebody is told are not written; what was noted since stays. */
  #takeBack(refused: ReadonlySet<Waiter>): void {
    const unsynced = this.#unsynced.splice(0);
    this.#goodBytes -= unsynced.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#overhang = true;
    for (const { bytes, waiter } of unsynced) {
      if (waiter !== undefined && refused.has(waiter)) continue;
      try {
        this.#put(bytes, waiter);
      } catch (error) {
        waiter?.reject(error);
      }
    }
    try {
      this.#cutBack();
    } catch {
      // Before the next record, then.
    }
  }

  #load(): void {
    const content = readFileSync(join(this.#folder, 'journal'));
    let offset = 0;
    let damagedAt: number | undefined;
    while (offset < content.length) {
      const end = content.indexOf(0x0a, offset);
      const record = end < 0 ? undefined : decodeRecord(content.toString('utf8', offset, end));
      if (record === undefined) damagedAt ??= offset;
      else if (damagedAt !== undefined) {
        throw new IsthmusError('JOURNAL_DAMAGED', `the journal is damaged at byte ${damagedAt}, before its end`);
      } else this.#memory.apply(record);
      offset = end < 0 ? content.length : end + 1;
    }
    this.#goodBytes = damagedAt ?? content.length;
    if (damagedAt !== undefined) ftruncateSync(this.#file, damagedAt);
    this.#compactAboveBytes = this.#goodBytes * 4;
  }

  #keepWithinLimit(): void {
    try {
      // A tenth, so that not every following append raises the mark again.
      if (this.#memory.ticketCount > this.#limits.mostTickets) this.#raiseMark(this.#memory.markOfOldestTenth());
      if (this.#goodBytes < Math.max(this.#limits.compactAboveBytes, this.#compactAboveBytes)) return;
      const newest = Math.min(this.#memory.newestTicketMs, Date.now() + MOST_CLOCK_SKEW_MS);
      this.#raiseMark(newest - this.#limits.retentionMs);
      this.#compact();
    } catch {
      // The disk is full, and what is written stays good: again when there is some more.
      this.#compactAboveBytes = this.#goodBytes * 2;
    }
  }

  /** What is below the mark may be forgotten once the mark is on the disk. */
  #raiseMark(lowWaterMs: number): void {
    if (lowWaterMs <= this.#memory.lowWaterMs) return;
    const record = { kind: 'mark', lowWaterMs } as const;
    this.#put(Buffer.from(encodeRecord(record)), undefined);
    fsyncSync(this.#file);
    this.#memory.apply(record);
  }

  /** In one go, so that nothing is noted meanwhile. What somebody still waits for stands last. */
  #compact(): void {
    const known = this.#memory.records().map(encodeRecord).join('');
    const waiting = this.#unsynced.filter(({ waiter }) => waiter !== undefined);
    const content = Buffer.concat([Buffer.from(known), ...waiting.map(({ bytes }) => bytes)]);
    const path = join(this.#folder, 'journal.new');
    const next = openSync(path, 'ax', 0o600);
    try {
      appendFileSync(next, content);
      fsyncSync(next);
      renameSync(path, join(this.#folder, 'journal'));
    } catch (error) {
      closeSync(next);
      rmSync(path, { force: true });
      throw error;
    }
    syncFolder(this.#folder);
    closeSync(this.#file);
    this.#file = next;
    this.#goodBytes = content.length;
    this.#compactAboveBytes = content.length * 4;
    this.#unsynced = waiting;
  }
}

function notWritten(error: unknown): IsthmusError {
  return diskError(error, 'the journal cannot be written');
}

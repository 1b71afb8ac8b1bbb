// The tentacle's journal: one append-only file, folded into memory (memory.ts). A note is written to the file at once,
// without a sync. An append resolves when it is on the disk; concurrent appends share one fdatasync, so that many
// scripts can start at once.
//
// Bounded: the file is compacted from memory when most of it is history, and the oldest tombstones are dropped below a
// low-water mark that is written first. The mark follows the ticket ids (the server's clock), never the local clock.
import {
  constants,
  appendFileSync,
  closeSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { syncFolder } from '../../lib/files/durable.ts';
import { openOwn, ownFolder } from '../../lib/files/private.ts';
import { idTimeMs } from '../../lib/ids.ts';
import { DAY_MS } from '../../lib/time.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { isDiskFull, reasonOf } from '../system-errors.ts';
import { JournalMemory } from './memory.ts';
import {
  decodeRecord,
  encodeRecord,
  type JournalledLine,
  type JournalRecord,
  type PackageTicket,
  type TicketEntry,
} from './records.ts';

const dataSynced = promisify(fdatasync);

/** No open file has this descriptor. */
const CLOSED = -1;

interface JournalLimits {
  /** How long a tombstone is kept: far longer than any envelope is valid. */
  readonly retentionMs: number;
  /** More tombstones than this raise the low-water mark early; each takes about 300 bytes. */
  readonly mostTickets: number;
  /** Below this size the file is not compacted. */
  readonly compactAboveBytes: number;
}

const DEFAULT_LIMITS: JournalLimits = {
  retentionMs: 7 * DAY_MS,
  mostTickets: 100_000,
  compactAboveBytes: 8 * 1024 * 1024,
};

/**
 * A ticket id further in the future than this does not move the mark: a wrong clock must not expire all other tickets.
 */
const MOST_CLOCK_SKEW_MS = 5 * 60_000;

/** An append in progress: its records are in the file, but neither on the disk nor in memory yet. */
interface Waiter {
  readonly records: readonly JournalRecord[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Bytes in the file that the next sync brings to the disk, in the order of the file. */
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
  /** The file may be longer than its good part: a write failed, and so did truncating it. */
  #overhang = false;
  readonly #memory = new JournalMemory();
  #unsynced: Unsynced[] = [];
  #syncing: Promise<void> | undefined;

  private constructor(folder: string, file: number, limits: JournalLimits) {
    this.#folder = folder;
    this.#file = file;
    this.#limits = limits;
  }

  /** Opens or creates the journal. A torn last record is cut off; damage before it throws JOURNAL_DAMAGED. */
  static async open(dataDir: string, limits: Partial<JournalLimits> = {}): Promise<Journal> {
    const folder = join(dataDir, 'journal');
    ownFolder(folder);
    await rm(join(folder, 'journal.new'), { force: true });
    const file = openOwn(join(folder, 'journal'), constants.O_RDWR | constants.O_APPEND | constants.O_CREAT);
    const journal = new Journal(folder, file, { ...DEFAULT_LIMITS, ...limits });
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

  /** Whether a script of a task has not ended. */
  hasOpenScript(task: string): boolean {
    return this.#memory.hasOpenScript(task);
  }

  /** A package ticket that was used; undefined for any other. */
  packageTicket(ticket: string): PackageTicket | undefined {
    return this.#memory.packageTicket(ticket);
  }

  /** TICKET_TOO_OLD for a ticket that may have been used and purged since. */
  assertRemembered(ticket: string): void {
    const createdMs = idTimeMs(ticket);
    if (createdMs === undefined) throw new IsthmusError('TICKET_TOO_OLD', 'the ticket id contains no creation time');
    if (createdMs >= this.lowWaterMs) return;
    throw new IsthmusError('TICKET_TOO_OLD', `ticket ${ticket} is older than what this tentacle remembers`);
  }

  /** The lines of a ticket's short log, in order; none once it is completed. */
  lines(ticket: string): readonly JournalledLine[] {
    return this.#memory.lines(ticket);
  }

  /** The highest epoch seen for a task; 0 when none was. */
  epoch(task: string): number {
    return this.#memory.epoch(task);
  }

  /** Sets a task's highest epoch: in memory at once, on the disk when the promise resolves. */
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
   * Writes a record without a sync: it survives the agent, but not a power cut, for which the records before it must
   * suffice. The next sync brings it to the disk. DISK_FULL as `append`.
   */
  note(record: JournalRecord): void {
    this.#put(Buffer.from(encodeRecord(record)), undefined);
    this.#memory.apply(record);
    if (this.#syncing === undefined) this.#keepWithinLimit();
  }

  /** Tickets created before this may have run, and their tombstones may be purged. */
  get lowWaterMs(): number {
    return this.#memory.lowWaterMs;
  }

  /**
   * Writes records; resolves once they are on the disk. DISK_FULL when they cannot be written; nothing then changes.
   */
  async append(...records: readonly JournalRecord[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#put(Buffer.from(records.map(encodeRecord).join('')), { records, resolve, reject });
    this.#syncing ??= this.#syncAll();
    await promise;
  }

  /** Idempotent. Later writes fail: the descriptor may belong to another file by then. */
  async close(): Promise<void> {
    await this.#syncing;
    if (this.#file !== CLOSED) closeSync(this.#file);
    this.#file = CLOSED;
  }

  /** Appends to the file synchronously: it only reaches the page cache. After a failure the file is as before. */
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

  /** Truncates a half-written or failed record, before the next one is written. */
  #cutBack(): void {
    if (!this.#overhang) return;
    ftruncateSync(this.#file, this.#goodBytes);
    this.#overhang = false;
  }

  async #syncAll(): Promise<void> {
    // One microtask later, so that appends of the same turn share the sync.
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

  /** Removes the records of rejected appends from the file; notes made since stay. */
  #takeBack(rejected: ReadonlySet<Waiter>): void {
    const unsynced = this.#unsynced.splice(0);
    this.#goodBytes -= unsynced.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#overhang = true;
    for (const { bytes, waiter } of unsynced) {
      if (waiter !== undefined && rejected.has(waiter)) continue;
      try {
        this.#put(bytes, waiter);
      } catch (error) {
        waiter?.reject(error);
      }
    }
    try {
      this.#cutBack();
    } catch {
      // Tried again before the next record.
    }
  }

  #load(): void {
    const content = readFileSync(this.#file);
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
      // By a tenth, so that the next appends do not raise the mark again.
      if (this.#memory.ticketCount > this.#limits.mostTickets) this.#raiseMark(this.#memory.markOfOldestTenth());
      if (this.#goodBytes < Math.max(this.#limits.compactAboveBytes, this.#compactAboveBytes)) return;
      const newest = Math.min(this.#memory.newestTicketMs, Date.now() + MOST_CLOCK_SKEW_MS);
      this.#raiseMark(newest - this.#limits.retentionMs);
      this.#compact();
    } catch {
      // The disk is full. The present file stays good; try again when it has grown.
      this.#compactAboveBytes = this.#goodBytes * 2;
    }
  }

  /** Tombstones below the mark may be purged once the mark is on the disk. */
  #raiseMark(lowWaterMs: number): void {
    if (lowWaterMs <= this.#memory.lowWaterMs) return;
    const record = { kind: 'mark', lowWaterMs } as const;
    this.#put(Buffer.from(encodeRecord(record)), undefined);
    fsyncSync(this.#file);
    this.#memory.apply(record);
  }

  /** Synchronous, so that no note comes in between. Unfinished appends go last. */
  #compact(): void {
    const known = this.#memory.records().map(encodeRecord).join('');
    const waiting = this.#unsynced.filter(({ waiter }) => waiter !== undefined);
    const content = Buffer.concat([Buffer.from(known), ...waiting.map(({ bytes }) => bytes)]);
    // Opened first: after the rename nothing may keep the new file from being the journal.
    const folder = openOwn(this.#folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      this.#replaceFile(content);
      this.#unsynced = waiting;
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }

  #replaceFile(content: Buffer): void {
    const path = join(this.#folder, 'journal.new');
    const file = openOwn(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL);
    try {
      appendFileSync(file, content);
      fsyncSync(file);
      renameSync(path, join(this.#folder, 'journal'));
    } catch (error) {
      closeSync(file);
      rmSync(path, { force: true });
      throw error;
    }
    closeSync(this.#file);
    this.#file = file;
    this.#goodBytes = content.length;
    this.#compactAboveBytes = content.length * 4;
  }
}

function notWritten(error: unknown): IsthmusError {
  if (error instanceof IsthmusError) return error;
  const code = isDiskFull(error) ? 'DISK_FULL' : 'INTERNAL';
  return new IsthmusError(code, `the journal cannot be written: ${reasonOf(error)}`, { cause: error });
}

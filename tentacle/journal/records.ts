// The records of the tentacle's journal: the states of a script's ticket up to its tombstone, of which the last one
// counts, and one for each package ticket that was used.
//
// waiting → starting → running → killing → ended → completed. `starting` is on disk before anything is spawned;
// `completed` is the tombstone, which outlives the workspace.
import { crc32 } from 'node:zlib';
import type { ErrorCode } from '../../contract/errors.ts';
import type { Isolation } from '../../contract/tasks.ts';
import type { Installation } from '../installation.ts';
import type { NewLine } from '../logs/spool.ts';

/** What must be known of a script even when its sealed payload cannot be read. */
export interface ScriptSpec {
  readonly isolation: Isolation;
  /** 0: no limit. */
  readonly timeLimitS: number;
  /** Bounds the first start only. */
  readonly expiresAtMs: number;
  /** Where it works, when not in a workspace of its own: in the release of its task. */
  readonly installation?: Installation | undefined;
}

/** Identifies a process for ever: pids are reused, but not together with start time and boot. */
export interface ChildProcessIdentity {
  readonly pid: number;
  /** Field 22 of /proc/<pid>/stat: clock ticks after boot. */
  readonly startTicks: number;
  readonly bootId: string;
}

export type KillReason = 'cancelled' | 'timed-out';

/** How a process ended. */
export interface ProcessExit {
  /** 128 and the signal's number for one that a signal ended, as a shell says it. */
  readonly exitCode: number;
  readonly signal?: number;
}

export type ScriptEnd =
  | { readonly kind: 'exited'; readonly exit: ProcessExit }
  /** Without an exit when it never ran, or its processes outlived the kill. */
  | { readonly kind: KillReason; readonly exit?: ProcessExit | undefined }
  /** It could not be started: it certainly never ran. */
  | { readonly kind: 'rejected'; readonly code: ErrorCode; readonly detail: string }
  | { readonly kind: 'interrupted'; readonly detail: string };

export type TicketState =
  | { readonly phase: 'waiting'; readonly spec: ScriptSpec }
  /** `attempt` numbers the claim: a late launcher can never use one that the agent took. */
  | { readonly phase: 'starting'; readonly spec: ScriptSpec; readonly attempt: number; readonly bootId: string }
  | {
      readonly phase: 'running';
      readonly spec: ScriptSpec;
      readonly attempt: number;
      readonly childProcess: ChildProcessIdentity;
      readonly startedAtMs: number;
    }
  | {
      readonly phase: 'killing';
      readonly spec: ScriptSpec;
      readonly attempt: number;
      readonly childProcess: ChildProcessIdentity;
      readonly startedAtMs: number;
      readonly reason: KillReason;
    }
  | Ended<'ended'>
  | Ended<'completed'>;

export interface Ended<Phase extends 'ended' | 'completed'> {
  readonly phase: Phase;
  readonly end: ScriptEnd;
  /** 0: it never started. */
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly lastLine: number;
}

export interface TicketEntry {
  readonly ticket: string;
  readonly task: string;
  readonly state: TicketState;
}

/** A package ticket that was used up. */
export interface PackageTicket {
  readonly ticket: string;
  readonly task: string;
  readonly action: PackageAction;
  /** With what it failed. */
  readonly error?: { readonly code: ErrorCode; readonly detail: string };
}

export type PackageAction = 'acquire' | 'stage' | 'activate' | 'settle';

/** A line of a short log; a long one has a file of its own (logs/spool.ts). */
export type JournalledLine = NewLine;

export type JournalRecord =
  | ({ readonly kind: 'ticket' } & TicketEntry)
  | ({ readonly kind: 'package' } & PackageTicket)
  | { readonly kind: 'epoch'; readonly task: string; readonly epoch: number }
  /** The next lines of a ticket's log. */
  | { readonly kind: 'lines'; readonly ticket: string; readonly lines: readonly JournalledLine[] }
  /** Tickets created before this are rejected: their tombstones may be purged. */
  | { readonly kind: 'mark'; readonly lowWaterMs: number };

/** One line of the journal: a checksum, which detects torn writes, and the record. */
export function encodeRecord(record: JournalRecord): string {
  const json = JSON.stringify(record);
  return `${checksum(json)} ${json}\n`;
}

/** The record of a line (without its line feed); undefined when the line is torn or damaged. */
export function decodeRecord(line: string): JournalRecord | undefined {
  const json = line.slice(9);
  if (line[8] !== ' ' || checksum(json) !== line.slice(0, 8)) return undefined;
  return JSON.parse(json) as JournalRecord;
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}

// What the stream of a task tells of a package on its way to a machine: bytes, rate and source.
import type { PackageProgress } from '../../../contract/tasks.ts';
import { bytes } from '../../../lib/text/byte-size.ts';
import type { AcquireProgress__Output } from '../../../proto/gen/isthmus/tentacle/v1/AcquireProgress.ts';
import type { PackagePayload } from '../../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import type { StoreTransaction } from '../../store/store.ts';
import type { Ticket } from '../../store/tasks/tickets.ts';
import type { MachineRun } from './machine-run.ts';

/** The detail of an acquire ticket. */
export interface AcquireDetail {
  readonly from: string;
  readonly bytes: number;
  readonly seconds: number;
  readonly cached: boolean;
  readonly failed: readonly { readonly node: string; readonly code: string; readonly detail: string }[];
}

/** Readers want to see progress, not every chunk. */
const PROGRESS_EVERY_MS = 1_000;

/** Whether the data of a message are the progress of a package. */
export function isPackageProgress(data: unknown): data is PackageProgress {
  return typeof data === 'object' && data !== null && 'bytesPerS' in data;
}

/** Tells the progress of one ticket, every second at most. */
export class ProgressReport {
  readonly #run: MachineRun;
  readonly #ticket: Ticket;
  /** What there was, and when, at the last message; before it, at the first sign of progress. */
  #since: { readonly receivedBytes: number; readonly atMs: number } | undefined;

  constructor(run: MachineRun, ticket: Ticket) {
    this.#run = run;
    this.#ticket = ticket;
  }

  async tell({ receivedBytes, totalBytes, from }: AcquireProgress__Output): Promise<void> {
    const atMs = performance.now();
    const since = (this.#since ??= { receivedBytes, atMs });
    const elapsedMs = atMs - since.atMs;
    if (elapsedMs < PROGRESS_EVERY_MS) return;
    this.#since = { receivedBytes, atMs };
    // A source with wrong bytes makes the next one begin again.
    const bytesPerS = Math.max(0, Math.round((1000 * (receivedBytes - since.receivedBytes)) / elapsedMs));
    const data: PackageProgress = { receivedBytes, totalBytes, bytesPerS, from };
    const percent = totalBytes === 0 ? 0 : Math.floor((100 * receivedBytes) / totalBytes);
    const { context, target: machine } = this.#run;
    const text = `${machine}: ${percent} % of ${bytes(totalBytes)} at ${bytes(bytesPerS)}/s from ${from}`;
    await context.message(text, { machine, ticket: this.#ticket.id, data });
  }
}

/** Tells, in the transaction that ends its ticket, how the package came to the machine. */
export async function tellAcquired(
  tx: StoreTransaction,
  { context, target: machine }: MachineRun,
  { id: ticket }: Ticket,
  { from, bytes: size, seconds, cached }: AcquireDetail,
  { package: wanted }: PackagePayload,
): Promise<void> {
  const rate = `${bytes(Math.round(size / Math.max(seconds, 0.001)))}/s`;
  const how = cached ? 'in its cache already' : `${bytes(size)} in ${seconds.toFixed(1)} s (${rate}) from ${from}`;
  const text = `${machine}: ${wanted?.id} ${wanted?.version}: ${how}`;
  const data = { acquired: { package: wanted?.id, version: wanted?.version, from, bytes: size, seconds, cached } };
  const { task, fence } = context;
  await tx.taskEvents.append(task.id, { at: Date.now(), machine, ticket, text, data }, fence.epoch);
}

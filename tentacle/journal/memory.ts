// The state of the journal, folded from its records: each script ticket's last state and the lines of its short log,
// the package tickets that were used, each task's highest epoch, and the low-water mark, below which tombstones, used
// package tickets and epochs are purged.
import { idTimeMs } from '../../lib/ids.ts';
import type { JournalledLine, JournalRecord, PackageTicket, TicketEntry } from './records.ts';

export class JournalMemory {
  readonly #tickets = new Map<string, TicketEntry>();
  readonly #packageTickets = new Map<string, PackageTicket>();
  readonly #lines = new Map<string, JournalledLine[]>();
  readonly #epochs = new Map<string, number>();
  #lowWaterMs = 0;
  #newestTicketMs = 0;

  ticket(ticket: string): TicketEntry | undefined {
    return this.#tickets.get(ticket);
  }

  tickets(): readonly TicketEntry[] {
    return [...this.#tickets.values()];
  }

  hasOpenScript(task: string): boolean {
    for (const entry of this.#tickets.values()) {
      if (entry.task === task && entry.state.phase !== 'ended' && entry.state.phase !== 'completed') return true;
    }
    return false;
  }

  packageTicket(ticket: string): PackageTicket | undefined {
    return this.#packageTickets.get(ticket);
  }

  get ticketCount(): number {
    return this.#tickets.size + this.#packageTickets.size;
  }

  lines(ticket: string): readonly JournalledLine[] {
    return this.#lines.get(ticket) ?? [];
  }

  /** 0 when none was seen. */
  epoch(task: string): number {
    return this.#epochs.get(task) ?? 0;
  }

  get lowWaterMs(): number {
    return this.#lowWaterMs;
  }

  /** The creation time of the youngest ticket, by its id. */
  get newestTicketMs(): number {
    return this.#newestTicketMs;
  }

  apply(record: JournalRecord): void {
    if (record.kind === 'ticket') {
      const { ticket, task, state } = record;
      this.#tickets.set(ticket, { ticket, task, state });
      if (state.phase === 'completed') this.#lines.delete(ticket);
      this.#noteAge(ticket);
    } else if (record.kind === 'package') {
      const { kind: _, ...entry } = record;
      this.#packageTickets.set(entry.ticket, entry);
      this.#noteAge(entry.ticket);
    } else if (record.kind === 'lines') {
      const known = this.#lines.get(record.ticket);
      if (known === undefined) this.#lines.set(record.ticket, [...record.lines]);
      else known.push(...record.lines);
    } else if (record.kind === 'epoch') {
      this.#epochs.set(record.task, Math.max(record.epoch, this.epoch(record.task)));
    } else {
      this.#lowWaterMs = Math.max(this.#lowWaterMs, record.lowWaterMs);
      this.#purgeBelowMark();
    }
  }

  /** A mark with about a tenth of the tickets below it. */
  markOfOldestTenth(): number {
    const times = [...this.#tickets.keys(), ...this.#packageTickets.keys()]
      .map((ticket) => idTimeMs(ticket) ?? 0)
      .sort((a, b) => a - b);
    return times[Math.ceil(times.length / 10)]!;
  }

  /** The records that give this state when they are applied; the mark comes first. */
  records(): JournalRecord[] {
    return [
      { kind: 'mark', lowWaterMs: this.#lowWaterMs },
      ...[...this.#epochs].map(([task, epoch]) => ({ kind: 'epoch', task, epoch }) as const),
      ...[...this.#tickets.values()].map((entry) => ({ kind: 'ticket', ...entry }) as const),
      ...[...this.#packageTickets.values()].map((entry) => ({ kind: 'package', ...entry }) as const),
      ...[...this.#lines].map(([ticket, lines]) => ({ kind: 'lines', ticket, lines }) as const),
    ];
  }

  #noteAge(ticket: string): void {
    this.#newestTicketMs = Math.max(this.#newestTicketMs, idTimeMs(ticket) ?? 0);
  }

  #purgeBelowMark(): void {
    for (const [ticket, { state }] of this.#tickets) {
      if (state.phase === 'completed' && (idTimeMs(ticket) ?? 0) < this.#lowWaterMs) this.#tickets.delete(ticket);
    }
    for (const ticket of this.#packageTickets.keys()) {
      if ((idTimeMs(ticket) ?? 0) < this.#lowWaterMs) this.#packageTickets.delete(ticket);
    }
    const entries = [...this.#tickets.values(), ...this.#packageTickets.values()];
    const living = new Set(entries.map(({ task }) => task));
    for (const task of this.#epochs.keys()) {
      if (!living.has(task) && (idTimeMs(task) ?? 0) < this.#lowWaterMs) this.#epochs.delete(task);
    }
  }
}

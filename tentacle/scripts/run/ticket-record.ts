// The state of one ticket in the journal, and the listeners for its changes.
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../../lib/telemetry/log.ts';
import type { Journal } from '../../journal/journal.ts';
import type { TicketEntry, TicketState } from '../../journal/records.ts';

/** How often a state that the full disk refused is written again. */
const RETRY_FULL_DISK_MS = 500;

export class TicketRecord {
  readonly ticket: string;
  readonly task: string;
  readonly #journal: Journal;
  readonly #log: Logger;
  #state: TicketState;
  #journalled: boolean;
  readonly #listeners = new Set<() => void>();

  constructor(
    { journal, log }: { readonly journal: Journal; readonly log: Logger },
    { ticket, task, state }: TicketEntry,
    { journalled }: { readonly journalled: boolean },
  ) {
    this.ticket = ticket;
    this.task = task;
    this.#journal = journal;
    this.#log = log;
    this.#state = state;
    this.#journalled = journalled;
  }

  get state(): TicketState {
    return this.#state;
  }

  /** Whether the journal knows the ticket. Before that a failure leaves no trace. */
  get journalled(): boolean {
    return this.#journalled;
  }

  /** Calls back on `notify`, and after every change of state. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** Resolves when the present state changes, or at once when the script has ended. */
  async changed(): Promise<void> {
    const before = this.#state.phase;
    if (before === 'ended' || before === 'completed') return;
    await new Promise<void>((resolve) => {
      const stop = this.onChange(() => {
        if (this.#state.phase === before) return;
        stop();
        resolve();
      });
    });
  }

  /** Changes the state once it is on the disk. DISK_FULL when it cannot be written; the former state then holds. */
  async set(state: TicketState): Promise<void> {
    await this.#journal.append(this.#recordOf(state));
    this.#journalled = true;
    this.#change(state);
  }

  /** As `set`, but waits until the disk has room; rejects when `stopping` aborts first. */
  async setWhenDiskAllows(state: TicketState, stopping: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return await this.set(state);
      } catch (error) {
        this.#log.warn({ err: error, ticket: this.ticket, phase: state.phase }, 'state not journalled yet');
        await delay(RETRY_FULL_DISK_MS, undefined, { signal: stopping });
      }
    }
  }

  /** As `set`, without a sync: a power cut may undo it. */
  note(state: TicketState): void {
    this.#journal.note(this.#recordOf(state));
    this.#change(state);
  }

  /** Changes the state, whether it can be journalled or not: recovery can find it out again. */
  noteIfPossible(state: TicketState): void {
    this.#change(state);
    try {
      this.#journal.note(this.#recordOf(state));
    } catch (error) {
      this.#log.warn({ err: error, ticket: this.ticket, phase: state.phase }, 'state not journalled');
    }
  }

  #recordOf(state: TicketState): { readonly kind: 'ticket' } & TicketEntry {
    return { kind: 'ticket', ticket: this.ticket, task: this.task, state };
  }

  #change(state: TicketState): void {
    this.#state = state;
    this.notify();
  }
}

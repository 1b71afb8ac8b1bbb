// Checks every machine's health once per interval, spread over it: by what it reports where that says enough, else by a
// call, with a concurrency limit of their own.
import PQueue from 'p-queue';
import { attempted, background, every } from '../../lib/async/background.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { acceptsWork, type Machine } from '../store/inventory/machines.ts';
import type { Store } from '../store/store.ts';
import { checkHealth, storeHealth } from './health-check.ts';
import type { MachineHealth } from './judgement.ts';
import type { ReportedHealth } from './reported-health.ts';
import type { RoutesOf } from '../tasks/routes.ts';
import type { Tentacles } from '../tasks/execution/tentacles.ts';
import type { Writer } from '../tasks/writer.ts';
import type { LiveTopology } from '../topology/live.ts';

interface MonitorOptions {
  readonly store: Pick<Store, 'machines'>;
  /** Its routes name every machine. */
  readonly topology: Pick<LiveTopology, 'routes'>;
  readonly writer: Writer;
  readonly tentacles: Tentacles;
  readonly routesOf: RoutesOf;
  readonly reported: Pick<ReportedHealth, 'judge'>;
  readonly log: Logger;
  /** Between two checks of one machine. */
  readonly intervalMs: number;
}

const CALLS_AT_ONCE = 16;
/** What is due in this time is judged and stored together. */
const LOOK_EVERY_MS = 500;
/** Bounds how much one look reads and writes when many return at once. */
const MOST_AT_ONCE = 200;
/** Behind one relay many return at once. */
const SOON_MS = 2_000;
/** A machine that has just become unreachable is checked again after this: a loss that is shorter is no event. */
const CONFIRM_MS = 15_000;

export class HealthMonitor {
  readonly #options: MonitorOptions;
  readonly #calls = new PQueue({ concurrency: CALLS_AT_ONCE });
  readonly #stopping = new AbortController();
  /** By the monotonic clock. */
  readonly #dueMs = new Map<string, number>();
  readonly #called = new Set<string>();
  #looking: Promise<void> | undefined;
  #lastRoundAt: number | null = null;
  #stopTimers = (): void => undefined;

  constructor(options: MonitorOptions) {
    this.#options = options;
  }

  /** When the last round began, in milliseconds since 1970; null before the first. */
  get lastRoundAt(): number | null {
    return this.#lastRoundAt;
  }

  /** Starts the checks: each machine's first one at a random time within the first interval. */
  start(): void {
    const { log, intervalMs } = this.#options;
    const stopRounds = every(intervalMs, 'health.round', log, () => this.#round());
    const stopLooks = every(Math.min(LOOK_EVERY_MS, intervalMs), 'health.check', log, () => this.#look());
    this.#stopTimers = () => {
      stopRounds();
      stopLooks();
    };
    background('health.round', log, () => this.#round());
  }

  /** Checks these machines within seconds, also those whose check is under way. */
  checkSoon(machines: readonly string[]): void {
    for (const id of machines) this.#setDue(id, Math.random() * Math.min(SOON_MS, this.#options.intervalMs));
  }

  async stop(): Promise<void> {
    this.#stopTimers();
    this.#stopping.abort();
    await this.#looking?.catch(() => undefined);
    this.#calls.clear();
    await this.#calls.onIdle();
  }

  #round(): void {
    this.#lastRoundAt = Date.now();
    // From memory: to read ten thousand machines at once would block the server. With jitter, because a thousand of
    // them behind one relay must not be called in the same instant.
    for (const id of this.#options.topology.routes.keys()) {
      if (!this.#called.has(id)) this.#setDue(id, Math.random() * this.#options.intervalMs);
    }
  }

  #setDue(id: string, inMs: number): void {
    const dueMs = performance.now() + inMs;
    this.#dueMs.set(id, Math.min(dueMs, this.#dueMs.get(id) ?? dueMs));
  }

  #look(): Promise<void> {
    this.#looking ??= this.#checkDue().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #checkDue(): Promise<void> {
    const nowMs = performance.now();
    const ids = [...this.#dueMs]
      .filter(([id, dueMs]) => dueMs <= nowMs && !this.#called.has(id))
      .map(([id]) => id)
      .slice(0, MOST_AT_ONCE);
    if (ids.length === 0) return;
    for (const id of ids) this.#dueMs.delete(id);
    const { store, reported } = this.#options;
    const stored: Promise<void>[] = [];
    for (const machine of await store.machines.select({ ids, acceptsWork: true })) {
      const health = reported.judge(machine);
      if (health !== undefined) stored.push(this.#store(machine, health));
      else this.#call(machine.id);
    }
    await Promise.all(stored);
  }

  #call(id: string): void {
    this.#called.add(id);
    const settled = (): boolean => this.#called.delete(id);
    attempted('health.check', this.#options.log, () => this.#calls.add(() => this.#checkByCall(id))).then(
      settled,
      settled,
    );
  }

  async #checkByCall(id: string): Promise<void> {
    const { store, tentacles, routesOf } = this.#options;
    const { signal } = this.#stopping;
    const machine = await store.machines.find(id);
    if (machine === undefined || !acceptsWork(machine)) return;
    const health = await checkHealth({ tentacles, routesOf }, machine, signal);
    if (!signal.aborted) await this.#store(machine, health);
  }

  async #store({ id, health: before }: Machine, found: MachineHealth): Promise<void> {
    await this.#options.writer.write((tx) => storeHealth(tx, id, found));
    if (found.health === 'unreachable' && before !== 'unreachable') this.#setDue(id, CONFIRM_MS);
  }
}

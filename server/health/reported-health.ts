// The health that tentacles report beside their links. Where a fresh report came over links that their parents report
// as up, a periodic check needs no call, so that ten thousand machines stay cheap.
import { CLOCKS, type Clocks } from '../../lib/async/clock-watch.ts';
import type { HealthReport__Output } from '../../proto/gen/isthmus/health/v1/HealthReport.ts';
import type { Machine } from '../store/inventory/machines.ts';
import { routeOver } from '../store/inventory/routes.ts';
import { roundTripMs } from '../topology/cost.ts';
import type { RouteResolver } from '../topology/route-resolver.ts';
import type { Topology } from '../topology/topology.ts';
import { truncatedFacts } from './facts.ts';
import { judgeAnswer, type MachineHealth } from './judgement.ts';

/** A report older than this says nothing of the present: tentacles send one twice as often. */
const FRESH_MS = 30_000;

interface Reported {
  readonly facts: HealthReport__Output;
  /** By the time of day. */
  readonly receivedAtMs: number;
  /** By the monotonic clock. */
  readonly atMs: number;
}

interface ReportedHealthDeps {
  readonly topology: Topology;
  readonly resolver: Pick<RouteResolver, 'resolve'>;
  readonly clocks?: Pick<Clocks, 'monotonic'>;
}

export class ReportedHealth {
  readonly #topology: Topology;
  readonly #resolver: ReportedHealthDeps['resolver'];
  readonly #clocks: Pick<Clocks, 'monotonic'>;
  readonly #latest = new Map<string, Reported>();

  constructor({ topology, resolver, clocks = CLOCKS }: ReportedHealthDeps) {
    this.#topology = topology;
    this.#resolver = resolver;
    this.#clocks = clocks;
  }

  /** Keeps what a tentacle has reported just now. */
  take(machine: string, { report, receivedAtMs }: { report: HealthReport__Output; receivedAtMs: number }): void {
    this.#latest.set(machine, { facts: truncatedFacts(report), receivedAtMs, atMs: this.#clocks.monotonic() });
  }

  /** The machine's health, as a call would find it; undefined where only a call can tell. */
  judge({ id, thresholds }: Pick<Machine, 'id' | 'thresholds'>): MachineHealth | undefined {
    const reported = this.#latest.get(id);
    if (reported === undefined) return undefined;
    if (this.#clocks.monotonic() - reported.atMs >= FRESH_MS) {
      this.#latest.delete(id);
      return undefined;
    }
    if (this.#topology.nodes.get(id)?.state !== 'active') return undefined;
    const [path] = this.#resolver.resolve(id).paths;
    if (path?.state !== 'up') return undefined;
    const pathMs = roundTripMs([...path.relays, id], this.#topology);
    if (pathMs === undefined) return undefined;
    const { facts, receivedAtMs } = reported;
    const answer = { report: facts, route: routeOver(path.relays), by: 'report', failed: [] } as const;
    return judgeAnswer({ ...answer, sentAtMs: receivedAtMs - pathMs, answeredAtMs: receivedAtMs }, thresholds);
  }
}

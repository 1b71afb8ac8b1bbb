// Checks one machine's health with a real call over its routes, which the tentacle answers without its script engine.
import { IsthmusError } from '../../contract/errors.ts';
import type { HealthReport__Output } from '../../proto/gen/isthmus/health/v1/HealthReport.ts';
import type { Machine } from '../store/inventory/machines.ts';
import type { DispatchRoute } from '../store/inventory/routes.ts';
import type { StoreTransaction } from '../store/store.ts';
import { truncatedFacts } from './facts.ts';
import { judgeAnswer, judgeFailure, type MachineHealth } from './judgement.ts';
import { tryRoutes } from '../tasks/execution/call-with-failover.ts';
import type { RoutesOf } from '../tasks/routes.ts';
import type { Tentacles } from '../tasks/execution/tentacles.ts';

/** Longer than a heartbeat takes to find a dead link, so that the error names the hop. */
const CHECK_DEADLINE_MS = 10_000;

interface HealthCheckDeps {
  readonly tentacles: Tentacles;
  readonly routesOf: RoutesOf;
}

/** Tries the machine's routes in their order, each once. */
export async function checkHealth(
  { tentacles, routesOf }: HealthCheckDeps,
  { id, thresholds }: Pick<Machine, 'id' | 'thresholds'>,
  signal: AbortSignal,
): Promise<MachineHealth> {
  let routes: readonly DispatchRoute[];
  try {
    routes = await routesOf(id);
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError) || thrown.code !== 'MACHINE_REVOKED') throw thrown;
    const { code, message } = thrown;
    const reason = { what: 'machine', severity: 'unreachable', text: message, hop: id, code } as const;
    return { health: 'unreachable', by: 'call', reasons: [reason], hop: id };
  }
  const failed: { route: DispatchRoute; error: IsthmusError }[] = [];
  for (const route of routes) {
    const round = await tryRoute(tentacles, id, route, signal);
    if (round.kind === 'answered') {
      const { report, sentAtMs } = round.value;
      return judgeAnswer({ by: 'call', report, route, sentAtMs, answeredAtMs: Date.now(), failed }, thresholds);
    }
    failed.push({ route, error: round.error });
  }
  return judgeFailure(id, failed);
}

async function tryRoute(tentacles: Tentacles, machine: string, route: DispatchRoute, signal: AbortSignal) {
  const routes = () => Promise.resolve([route]);
  try {
    return await tryRoutes({ clients: tentacles, node: machine, routes, signals: [signal] }, async (client) => {
      // Timed from here: the round trips that open a tunnel would distort the clock skew.
      const sentAtMs = Date.now();
      const report = await client.unary<HealthReport__Output>((c, o, done) => c.checkHealth({}, o, done), {
        deadlineMs: CHECK_DEADLINE_MS,
        signal,
      });
      return { report: truncatedFacts(report), sentAtMs };
    });
  } catch (thrown) {
    return { kind: 'failed' as const, error: IsthmusError.from(thrown, 'UNREACHABLE', { hop: machine }) };
  }
}

/** Stores a check's result; writes an event when the health has changed. */
export async function storeHealth(tx: StoreTransaction, machine: string, found: MachineHealth): Promise<void> {
  const before = await tx.machines.find(machine);
  if (before === undefined) return;
  await tx.machines.setHealth(machine, found.health, found, Date.now());
  if (before.health === found.health) return;
  await tx.events.append({
    actor: 'system',
    type: 'machine.health-changed',
    subject: machine,
    data: {
      from: before.health,
      to: found.health,
      hop: found.hop ?? null,
      reasons: found.reasons.map(({ text }) => text),
    },
  });
}

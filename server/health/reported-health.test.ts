import { describe, expect, it } from 'vitest';
import type { HealthReport__Output } from '../../proto/gen/isthmus/health/v1/HealthReport.ts';
import { nodeOf, ownLink, topologyOf } from '../../test/support/topology.ts';
import { createRouteResolver } from '../topology/route-resolver.ts';
import { judgeAnswer } from './judgement.ts';
import { ReportedHealth } from './reported-health.ts';

const GiB = 1024 ** 3;
const NOW = 1_800_000_000_000;
const machine = { id: 'web-1', thresholds: null };

const good: HealthReport__Output = {
  ...{ softwareVersion: '1.0.0', os: 'Linux 6.1', arch: 'x64', tentacleTimeMs: NOW, load_1m: 0.5, cpus: 2 },
  ...{ diskFreeBytes: 50 * GiB, diskTotalBytes: 100 * GiB, memoryFreeBytes: GiB, memoryTotalBytes: 4 * GiB },
  ...{ runningScripts: 0, uptimeS: 60, certificateNotAfterMs: 0, interpreters: [], scriptsIsolated: true },
};

interface Given {
  readonly up?: boolean;
  readonly roundTripMs?: number | undefined;
  /** What the relay reports of its link to the machine. */
  readonly ofRelay?: object | null;
  /** Calls over the path got no answer lately. */
  readonly fell?: boolean;
  /** The age of the health report. */
  readonly ageMs?: number;
}

const measured = { peer: 'web-1', relation: 'child', up: true, roundTripMs: 30 };

/** web-1 below the relay eu, with what it has reported. */
function reportedBy(report: HealthReport__Output | undefined, given: Given = {}): ReportedHealth {
  const { up = true, roundTripMs = 10, ofRelay = measured, fell = false, ageMs = 0 } = given;
  const links = ofRelay === null ? [] : [ofRelay];
  const nodes = [
    nodeOf('eu', 'relay', ['server'], { report: { links }, lastSeenAt: NOW }),
    nodeOf('web-1', 'tentacle', ['eu'], { lastSeenAt: NOW }),
  ];
  const own = [ownLink('eu', { up, roundTripMs })];
  const routes = { 'web-1': [{ kind: 'path' as const, via: ['eu'] }] };
  const topology = topologyOf(nodes, { now: NOW, own, routes });
  let nowMs = 0;
  const clocks = { monotonic: () => nowMs };
  const resolver = createRouteResolver(topology);
  if (fell) resolver.fell('web-1', ['eu']);
  const reported = new ReportedHealth({ topology, resolver, clocks });
  if (report !== undefined) reported.take('web-1', { report, receivedAtMs: NOW });
  nowMs = ageMs;
  return reported;
}

describe('health by what is reported', () => {
  it('is judged as the answer of a call over the same path is', () => {
    const via = { kind: 'path', via: ['eu'] } as const;
    const answer = { route: via, sentAtMs: NOW - 40, answeredAtMs: NOW, failed: [] };
    const reports = [
      good,
      { ...good, diskFreeBytes: GiB },
      { ...good, diskFreeBytes: 1 },
      { ...good, load_1m: 99, memoryFreeBytes: 1 },
      { ...good, tentacleTimeMs: NOW - 3_600_000 },
      { ...good, certificateNotAfterMs: NOW - 1 },
    ];
    const found = reports.map((report) => {
      const called = judgeAnswer({ ...answer, by: 'call', report }, null);
      expect(reportedBy(report).judge(machine)).toEqual({ ...called, by: 'report' });
      return called.health;
    });
    expect(found).toEqual(['healthy', 'warning', 'unhealthy', 'warning', 'unhealthy', 'unhealthy']);
    const strict = { ...machine, thresholds: { diskFreeBytes: 60 * GiB } };
    expect(reportedBy(good).judge(strict)).toMatchObject({ health: 'warning', reasons: [{ what: 'disk' }] });
  });

  it('takes no delay on the way for a skew of the clock', () => {
    const strict = { ...machine, thresholds: { clockSkewMs: 0 } };
    const late = (byMs: number) => ({ ...good, tentacleTimeMs: NOW - byMs });
    expect(reportedBy(late(35)).judge(strict)).toMatchObject({ health: 'healthy', roundTripMs: 40 });
    expect(reportedBy(late(45)).judge(strict)).toMatchObject({ health: 'warning', reasons: [{ what: 'clock' }] });
  });

  it.each<[string, HealthReport__Output | undefined, Given]>([
    ['nothing was reported', undefined, {}],
    ['the report is old', good, { ageMs: 30_000 }],
    ['a link of the path is down', good, { up: false }],
    ['the parent says that its link is down', good, { ofRelay: { ...measured, up: false } }],
    ['the parent reports no link', good, { ofRelay: null }],
    ['calls got no answer lately', good, { fell: true }],
    ['the round trip is not known yet', good, { ofRelay: { ...measured, roundTripMs: 0 } }],
  ])('is left to a call when %s', (_, report, given) => {
    expect(reportedBy(report, given).judge(machine)).toBeUndefined();
  });

  it('bounds what a tentacle says', () => {
    const text = 'x'.repeat(1_000_000);
    const interpreters = Array.from({ length: 10_000 }, () => ({ name: text, path: '\u{d800}' }));
    for (const load_1m of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
      const hostile = { ...good, os: text, arch: text, softwareVersion: text, interpreters, load_1m };
      const health = reportedBy(hostile).judge(machine)!;
      expect(health).toMatchObject({ health: 'healthy', facts: { load_1m: 0 } });
      expect(JSON.stringify(health).length).toBeLessThan(50_000);
    }
    const far = reportedBy({ ...good, tentacleTimeMs: 2 ** 64 }).judge(machine)!;
    expect(far).toMatchObject({ health: 'unhealthy', reasons: [{ what: 'clock' }] });
  });
});

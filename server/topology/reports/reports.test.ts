// When reports are written: soon where a node has just come, else in batches.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { silentLogger } from '../../../lib/telemetry/log.ts';
import type { NodeReport__Output } from '../../../proto/gen/isthmus/topology/v1/NodeReport.ts';
import { Reports, type Reporter, type ReportsDeps } from './reports.ts';

const BATCH_MS = 500;
const SOON_MS = 50;

const report = { feedUrl: '', denials: [], abandonedSources: [], softwareVersion: '1.0.0' };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function reportsInto(written: string[]): { take(reporter: Reporter): void } {
  const nodes = { recordLastSeen: (id: string) => Promise.resolve(written.push(id)) };
  const store = { transaction: (work: (tx: object) => Promise<void>) => work({ nodes }) };
  const deps = { store, denials: {}, onHealth: () => undefined, log: silentLogger() };
  const reports = new Reports(deps as unknown as ReportsDeps);
  return { take: (reporter) => reports.take(reporter, report as unknown as NodeReport__Output) };
}

function reporterOf(node: string): Reporter {
  const failed = (thrown: unknown): never => {
    throw thrown;
  };
  return { caller: { peer: { node, role: 'tentacle', notAfterMs: 0 } }, failed } as unknown as Reporter;
}

it('those of known streams are written together, the first one of a stream soon, with what waits', async () => {
  const written: string[] = [];
  const reports = reportsInto(written);
  const [known, other] = [reporterOf('known'), reporterOf('other')];
  reports.take(known);
  await vi.advanceTimersByTimeAsync(0);
  expect(written).toEqual(['known']);

  reports.take(known);
  await vi.advanceTimersByTimeAsync(BATCH_MS - 1);
  expect(written).toEqual(['known']);
  await vi.advanceTimersByTimeAsync(1);
  expect(written).toEqual(['known', 'known']);

  reports.take(known);
  reports.take(other);
  await vi.advanceTimersByTimeAsync(SOON_MS - 1);
  expect(written).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(1);
  expect(written.slice(2)).toEqual(['known', 'other']);

  reports.take(other);
  await vi.advanceTimersByTimeAsync(BATCH_MS - 1);
  expect(written).toHaveLength(4);
  await vi.advanceTimersByTimeAsync(1);
  expect(written.slice(4)).toEqual(['other']);
});

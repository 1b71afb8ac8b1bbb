// How often the progress of a package is told, and what it says.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { AcquireProgress__Output } from '../../../proto/gen/isthmus/tentacle/v1/AcquireProgress.ts';
import type { Ticket } from '../../store/tasks/tickets.ts';
import type { MachineRun } from './machine-run.ts';
import { ProgressReport } from './package-progress.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

it('tells progress every second at most, with the rate since the last time', async () => {
  const told: [string, object | undefined][] = [];
  const message = (text: string, { data }: { data?: object }) => Promise.resolve(void told.push([text, data]));
  const run = { context: { message }, target: 'web-1' } as object as MachineRun;
  const report = new ProgressReport(run, { id: 'ticket-1' } as Ticket);
  const totalBytes = 64 * 1024 * 1024;
  const at = async (ms: number, mebibytes: number, from = 'mirror-eu') => {
    vi.advanceTimersByTime(ms);
    const progress = { receivedBytes: mebibytes * 1024 * 1024, totalBytes, from, done: false };
    await report.tell(progress as AcquireProgress__Output);
  };
  // It goes on where an earlier download stopped: what was there before has no rate.
  await at(3_000, 16);
  await at(500, 17);
  expect(told).toEqual([]);
  await at(500, 24);
  await at(900, 30);
  await at(1_100, 48);
  // Begins again, from another source.
  await at(1_000, 1, 'server');
  const [first, second, third, ...more] = told;
  expect(first![0]).toBe('web-1: 37 % of 64.0 MiB at 8.00 MiB/s from mirror-eu');
  expect(second![0]).toBe('web-1: 75 % of 64.0 MiB at 12.0 MiB/s from mirror-eu');
  expect(third![1]).toEqual({ receivedBytes: 1024 * 1024, totalBytes, bytesPerS: 0, from: 'server' });
  expect(more).toEqual([]);
});

// However many are refused, the audit events take a bounded share of the disk.
import { expect, it } from 'vitest';
import { RefusalLog } from './refusals.ts';
import type { NewEvent } from './repositories/events.ts';

const event: NewEvent = {
  actor: 'a',
  type: 'api.refused',
  subjectKind: 'route',
  subject: 'GET /',
  data: { code: 'X' },
};

function log(shares: { perMinute: number; inAllPerMinute: number }) {
  const written: NewEvent[] = [];
  const clock = { ms: 1_000, now: () => clock.ms };
  return {
    written,
    clock,
    refusals: new RefusalLog((each) => Promise.resolve(void written.push(each)), shares, clock),
  };
}

it('gives each its share, and says where it ends', async () => {
  const { written, refusals } = log({ perMinute: 2, inAllPerMinute: 100 });
  const recorded: boolean[] = [];
  for (const who of ['mallory', 'mallory', 'mallory', 'eve']) recorded.push(await refusals.record(who, event));
  expect(recorded).toEqual([true, true, false, true]);
  expect(written.map(({ data }) => data)).toEqual([{ code: 'X' }, { code: 'X', moreNotRecorded: true }, { code: 'X' }]);
});

it('gives many with many names no more than all may have', async () => {
  const { written, refusals } = log({ perMinute: 5, inAllPerMinute: 20 });
  for (let i = 0; i < 1_000; i += 1) await refusals.record(`address-${i}`, event);
  expect(written).toHaveLength(20);
  expect(written.at(-1)?.data).toHaveProperty('moreNotRecorded', true);
});

it('begins anew with the next minute', async () => {
  const { refusals, clock } = log({ perMinute: 1, inAllPerMinute: 100 });
  expect([await refusals.record('m', event), await refusals.record('m', event)]).toEqual([true, false]);
  clock.ms += 60_001;
  expect(await refusals.record('m', event)).toBe(true);
});

// However many requests are denied, the denials table takes a bounded share of the disk.
import { expect, it } from 'vitest';
import { DenialLimiter } from './denial-shares.ts';

function limiter(shares: { perMinute: number; inAllPerMinute: number }) {
  const clock = { ms: 1_000, now: () => clock.ms };
  return { clock, denials: new DenialLimiter(shares, clock) };
}

it('gives each its share, and says where it ends', () => {
  const { denials } = limiter({ perMinute: 2, inAllPerMinute: 100 });
  const shares = ['mallory', 'mallory', 'mallory', 'eve'].map((requester) => denials.take(requester));
  expect(shares).toEqual(['more', 'last', 'none', 'more']);
});

it('gives many with many names no more than all may have', () => {
  const { denials } = limiter({ perMinute: 5, inAllPerMinute: 20 });
  const shares = Array.from({ length: 1_000 }, (_, n) => denials.take(`address-${n}`));
  expect(shares.filter((share) => share !== 'none')).toHaveLength(20);
  expect(shares[19]).toBe('last');
});

it('begins anew with the next minute', () => {
  const { denials, clock } = limiter({ perMinute: 1, inAllPerMinute: 100 });
  expect([denials.take('m'), denials.take('m')]).toEqual(['last', 'none']);
  clock.ms += 60_001;
  expect(denials.take('m')).toBe('last');
});

// Reports of denials are bounded, for one source and for many.
import { expect, it } from 'vitest';
import { DenialLimiter } from './denial-limiter.ts';

function limiter(limits: { perSource: number; inAll?: number; sources?: number }) {
  const clock = { ms: 1_000, now: () => clock.ms };
  return { clock, denials: new DenialLimiter({ windowMs: 60_000, sources: 100, ...limits }, clock) };
}

it('reports denials of each source up to its limit, and marks the last', () => {
  const { denials } = limiter({ perSource: 2 });
  const admitted = ['m', 'm', 'm', 'e'].map((source) => denials.admit(source));
  expect(admitted).toEqual(['reported', 'last', 'suppressed', 'reported']);
});

it('reports no more denials of many sources than the common limit', () => {
  const { denials } = limiter({ perSource: 5, inAll: 20 });
  const admitted = Array.from({ length: 1_000 }, (_, i) => denials.admit(`address-${i}`));
  expect(admitted.filter((each) => each !== 'suppressed')).toHaveLength(20);
  expect(admitted[19]).toBe('last');
});

it('starts again with the next window, which further denials do not delay', () => {
  const { denials, clock } = limiter({ perSource: 1 });
  denials.admit('m');
  clock.ms += 59_000;
  expect(denials.admit('m')).toBe('suppressed');
  clock.ms += 1_001;
  expect(denials.admit('m')).toBe('last');
});

it('remembers no more sources than its limit', () => {
  const { denials } = limiter({ perSource: 1, sources: 3 });
  for (const source of ['a', 'b', 'c', 'd']) denials.admit(source);
  expect(denials.admit('a')).toBe('last');
  expect(denials.admit('d')).toBe('suppressed');
});

it('counts a single source beside the count of all', () => {
  const { denials } = limiter({ perSource: 2, sources: 1 });
  const admitted = ['m', 'm', 'm'].map((source) => denials.admit(source));
  expect(admitted).toEqual(['reported', 'last', 'suppressed']);
});

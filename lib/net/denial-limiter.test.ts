// However many are denied, and however often, what is told of it is bounded.
import { expect, it } from 'vitest';
import { DenialLimiter } from './denial-limiter.ts';

function limiter(limits: { perSource: number; inAll?: number; sources?: number }) {
  const clock = { ms: 1_000, now: () => clock.ms };
  return { clock, denials: new DenialLimiter({ windowMs: 60_000, sources: 100, ...limits }, clock) };
}

it('tells of each source up to its share, and says which is the last', () => {
  const { denials } = limiter({ perSource: 2 });
  const admitted = ['m', 'm', 'm', 'e'].map((source) => denials.admit(source));
  expect(admitted).toEqual(['told', 'last', 'untold', 'told']);
});

it('tells of many sources no more than all may have', () => {
  const { denials } = limiter({ perSource: 5, inAll: 20 });
  const admitted = Array.from({ length: 1_000 }, (_, i) => denials.admit(`address-${i}`));
  expect(admitted.filter((each) => each !== 'untold')).toHaveLength(20);
  expect(admitted[19]).toBe('last');
});

it('begins anew with the next window, which no further denial puts off', () => {
  const { denials, clock } = limiter({ perSource: 1 });
  denials.admit('m');
  clock.ms += 59_000;
  expect(denials.admit('m')).toBe('untold');
  clock.ms += 1_001;
  expect(denials.admit('m')).toBe('last');
});

it('remembers no more sources than it is told to', () => {
  const { denials } = limiter({ perSource: 1, sources: 3 });
  for (const source of ['a', 'b', 'c', 'd']) denials.admit(source);
  expect(denials.admit('a')).toBe('last');
  expect(denials.admit('d')).toBe('untold');
});

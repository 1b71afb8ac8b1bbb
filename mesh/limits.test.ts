// The limits of links that an operator may set.
import { expect, it } from 'vitest';
import { linkTimeout } from './limits.ts';

it('keeps three heartbeats within the timeout of a link', () => {
  expect(linkTimeout(6)).toEqual({ linkTimeoutMs: 6_000, heartbeatIntervalMs: 2_000 });
});

it('changes nothing where no timeout is set', () => {
  expect(linkTimeout(undefined)).toEqual({});
});

// Which version two nodes agree on, and their error when there is none.
import { describe, expect, it } from 'vitest';
import { agreeOnWireVersion } from './wire-version.ts';

describe('two nodes', () => {
  it.each([
    { theirs: [1, 1], own: [1, 2], agreed: 1 },
    { theirs: [1, 2], own: [1, 2], agreed: 2 },
    { theirs: [2, 3], own: [1, 2], agreed: 2 },
    { theirs: [1, 2], own: [2, 3], agreed: 2 },
    { theirs: [1, 9], own: [3, 4], agreed: 4 },
  ] as const)('that speak $theirs and $own agree on $agreed', ({ theirs, own, agreed }) => {
    const [ours, others] = [own, theirs].map(([oldest, newest]) => ({ oldest, newest }));
    expect(agreeOnWireVersion(others!, 'peer', ours)).toBe(agreed);
  });

  it.each([
    { theirs: [1, 1], own: [2, 3] },
    { theirs: [3, 4], own: [1, 2] },
    { theirs: [0, 0], own: [1, 2] },
    { theirs: [2, 1], own: [3, 2] },
  ] as const)('that speak $theirs and $own are told both ranges', ({ theirs, own }) => {
    const [ours, others] = [own, theirs].map(([oldest, newest]) => ({ oldest, newest }));
    expect(() => agreeOnWireVersion(others!, 'eu', ours)).toThrow(
      `eu speaks wire versions ${theirs[0]} to ${theirs[1]}, this node ${own[0]} to ${own[1]}`,
    );
  });
});

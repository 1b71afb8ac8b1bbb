// Which version two nodes settle on, and what they say when there is none.
import { describe, expect, it } from 'vitest';
import { agreeOnWireVersion, saidVersions } from './wire-version.ts';

describe('two nodes', () => {
  it.each([
    { theirs: [1, 1], own: [1, 2], spoken: 1 },
    { theirs: [1, 2], own: [1, 2], spoken: 2 },
    { theirs: [2, 3], own: [1, 2], spoken: 2 },
    { theirs: [1, 2], own: [2, 3], spoken: 2 },
    { theirs: [1, 9], own: [3, 4], spoken: 4 },
  ] as const)('that speak $theirs and $own speak $spoken', ({ theirs, own, spoken }) => {
    const [ours, others] = [own, theirs].map(([oldest, newest]) => ({ oldest, newest }));
    expect(agreeOnWireVersion(others!, 'peer', ours)).toBe(spoken);
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

  it('take a node that says one version for one that speaks no other', () => {
    expect(saidVersions(1, 0)).toEqual({ oldest: 1, newest: 1 });
    expect(saidVersions(1, 2)).toEqual({ oldest: 1, newest: 2 });
  });
});

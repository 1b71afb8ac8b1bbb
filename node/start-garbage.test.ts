// What the start of a node left is collected without any pressure on the memory.
import { setImmediate } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { collectStartGarbage } from './start-garbage.ts';

it('is collected soon, once', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const left = new WeakRef({ of: 'the start' });
    collectStartGarbage();
    // A WeakRef holds what it was made with until the end of its turn.
    await setImmediate();
    vi.advanceTimersByTime(60_000);
    expect(left.deref()).toBeUndefined();
    expect(vi.getTimerCount()).toBe(0);
    expect(globalThis).not.toHaveProperty('gc');
  } finally {
    vi.useRealTimers();
  }
});

it('is left when the node stops first', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    collectStartGarbage()();
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

// A pause ends at its time, when it is woken, or when a signal aborts, and leaves nothing behind.
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { pause, pauseUntil } from './waiting.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const onChange =
  (emitter: EventEmitter) =>
  (wake: () => void): (() => void) => {
    emitter.on('change', wake);
    return () => emitter.off('change', wake);
  };

describe('pause', () => {
  it('ends after its time', async () => {
    const paused = pause(100);
    await vi.advanceTimersByTimeAsync(100);
    await paused;
  });

  it('ends at once where a signal has aborted', async () => {
    await pause(100, AbortSignal.abort());
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('pauseUntil', () => {
  it.each<[string, (emitter: EventEmitter, caller: AbortController) => unknown]>([
    ['it is woken', (emitter) => emitter.emit('change')],
    ['a signal aborts', (_emitter, caller) => caller.abort()],
    ['its time is up', () => vi.advanceTimersByTime(100)],
  ])('ends when %s, without a listener or timer left', async (_case, end) => {
    const [emitter, caller] = [new EventEmitter(), new AbortController()];
    const paused = pauseUntil(onChange(emitter), { ms: 100, signals: [caller.signal] });
    expect(emitter.listenerCount('change')).toBe(1);
    end(emitter, caller);
    await paused;
    expect(emitter.listenerCount('change')).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not subscribe where a signal has aborted', async () => {
    const emitter = new EventEmitter();
    await pauseUntil(onChange(emitter), { signals: [AbortSignal.abort()] });
    expect(emitter.listenerCount('change')).toBe(0);
  });
});

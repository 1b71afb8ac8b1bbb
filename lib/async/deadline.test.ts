// Work ends at its deadline with that error, and leaves no timer behind.
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { IsthmusError } from '../../contract/errors.ts';
import { Watchdog, closeWithin, stopAfter, withDeadline, within } from './deadline.ts';

const late = () => new IsthmusError('DEADLINE_EXCEEDED', 'too late');
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Ends only at its signal. */
const forEver = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });

describe('withDeadline', () => {
  it('returns a result in time, and keeps no timer', async () => {
    expect(await withDeadline({ ms: 100, late }, () => Promise.resolve(7))).toBe(7);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('aborts the work with the error of the deadline', async () => {
    const ended = expect(withDeadline({ ms: 100, late }, forEver)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await vi.advanceTimersByTimeAsync(100);
    await ended;
  });

  it('aborts it with the reason of another signal, when that comes first', async () => {
    const caller = new AbortController();
    const work = withDeadline({ ms: 100, late, signals: [caller.signal] }, forEver);
    caller.abort(new IsthmusError('CANCELLED', 'not wanted'));
    await expect(work).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('within', () => {
  it('returns a result or a failure in time', async () => {
    expect(await within(Promise.resolve(7), { ms: 100, late })).toBe(7);
    await expect(within(Promise.reject(new Error('no')), { ms: 100, late })).rejects.toThrow('no');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('lets late work continue', async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    const ended = expect(within(promise, { ms: 100, late })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await vi.advanceTimersByTimeAsync(100);
    await ended;
    // A failure that no one awaits must not end the process.
    reject(new Error('later'));
  });
});

describe('a watchdog', () => {
  it('is inactive until it is fed, and barks when it is not fed again', () => {
    const bark = vi.fn();
    const watchdog = new Watchdog(100, bark);
    vi.advanceTimersByTime(1_000);
    expect(bark).not.toHaveBeenCalled();
    watchdog.feed();
    vi.advanceTimersByTime(99);
    watchdog.feed();
    vi.advanceTimersByTime(99);
    expect(bark).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(bark).toHaveBeenCalledOnce();
  });

  it('takes another time once, and stops at rest()', () => {
    const bark = vi.fn();
    const watchdog = new Watchdog(100, bark);
    watchdog.feed(500);
    vi.advanceTimersByTime(499);
    expect(bark).not.toHaveBeenCalled();
    watchdog.rest();
    vi.advanceTimersByTime(1_000);
    expect(bark).not.toHaveBeenCalled();
  });
});

describe('stopAfter', () => {
  it('stops work that is late, awaits it, and keeps no timer', async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    const work = stopAfter(
      100,
      () => resolve('stopped'),
      () => promise,
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(await work).toBe('stopped');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('leaves work alone that ends in time', async () => {
    const stop = vi.fn();
    expect(await stopAfter(100, stop, () => Promise.resolve(7))).toBe(7);
    vi.advanceTimersByTime(1_000);
    expect(stop).not.toHaveBeenCalled();
  });
});

describe('closeWithin', () => {
  it('destroys a stream that stays open', () => {
    const stream = new PassThrough();
    closeWithin(stream, 100);
    vi.advanceTimersByTime(99);
    expect(stream.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(stream.destroyed).toBe(true);
  });

  it('keeps no timer for a stream that closes in time', async () => {
    const stream = new PassThrough();
    closeWithin(stream, 100);
    const closing = once(stream, 'close');
    stream.destroy();
    await closing;
    expect(vi.getTimerCount()).toBe(0);
    // Nor for one that has closed already.
    closeWithin(stream, 100);
    expect(vi.getTimerCount()).toBe(0);
  });
});

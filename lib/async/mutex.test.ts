// Work under one mutex never overlaps, keeps its order, and continues after a failure.
import { expect, it } from 'vitest';
import { Mutex } from './mutex.ts';

function watched() {
  const events: string[] = [];
  const latches = new Map<string, PromiseWithResolvers<void>>();
  const work = (name: string) => async () => {
    const latch = Promise.withResolvers<void>();
    latches.set(name, latch);
    events.push(`${name} begins`);
    await latch.promise;
    events.push(`${name} ends`);
    return name;
  };
  return { events, work, latches };
}
const nextTick = () => new Promise((resolve) => setImmediate(resolve));

it('runs one at a time, in order, and returns each result', async () => {
  const { events, work, latches } = watched();
  const mutex = new Mutex();
  const both = [mutex.run(work('a')), mutex.run(work('b'))];
  await nextTick();
  expect(events).toEqual(['a begins']);
  latches.get('a')!.resolve();
  await nextTick();
  expect(events).toEqual(['a begins', 'a ends', 'b begins']);
  latches.get('b')!.resolve();
  expect(await Promise.all(both)).toEqual(['a', 'b']);
});

it('continues after a failure, which only its caller sees', async () => {
  const mutex = new Mutex();
  const failed = mutex.run(() => Promise.reject(new Error('no')));
  const after = mutex.run(() => Promise.resolve('yes'));
  await expect(failed).rejects.toThrow('no');
  expect(await after).toBe('yes');
});

it('runs work of different keys concurrently', async () => {
  const { events, work, latches } = watched();
  const mutex = new Mutex();
  const all = [mutex.run(work('a1'), 'a'), mutex.run(work('b1'), 'b'), mutex.run(work('a2'), 'a')];
  await nextTick();
  expect(events).toEqual(['a1 begins', 'b1 begins']);
  latches.get('a1')!.resolve();
  await nextTick();
  expect(events.at(-1)).toBe('a2 begins');
  for (const latch of latches.values()) latch.resolve();
  await Promise.all(all);
});

it('is idle when all work has settled, failures included', async () => {
  const { work, latches } = watched();
  const mutex = new Mutex();
  await mutex.idle();
  let idle = false;
  void mutex.run(work('a')).catch(() => undefined);
  const failed = mutex.run(() => Promise.reject(new Error('no'))).catch(() => undefined);
  void mutex.idle().then(() => (idle = true));
  await nextTick();
  expect(idle).toBe(false);
  latches.get('a')!.resolve();
  await failed;
  await nextTick();
  expect(idle).toBe(true);
});

// Work under one mutex never overlaps, keeps its order, and goes on after a failure.
import { expect, it } from 'vitest';
import { Mutex } from './mutex.ts';

function watched() {
  const events: string[] = [];
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const work = (name: string) => async () => {
    const gate = Promise.withResolvers<void>();
    gates.set(name, gate);
    events.push(`${name} begins`);
    await gate.promise;
    events.push(`${name} ends`);
    return name;
  };
  return { events, work, gates };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

it('runs one at a time, in order, and gives each its result', async () => {
  const { events, work, gates } = watched();
  const mutex = new Mutex();
  const both = [mutex.run(work('a')), mutex.run(work('b'))];
  await turn();
  expect(events).toEqual(['a begins']);
  gates.get('a')!.resolve();
  await turn();
  expect(events).toEqual(['a begins', 'a ends', 'b begins']);
  gates.get('b')!.resolve();
  expect(await Promise.all(both)).toEqual(['a', 'b']);
});

it('goes on after a failure, which only its own caller sees', async () => {
  const mutex = new Mutex();
  const failed = mutex.run(() => Promise.reject(new Error('no')));
  const after = mutex.run(() => Promise.resolve('yes'));
  await expect(failed).rejects.toThrow('no');
  expect(await after).toBe('yes');
});

it('runs work of different keys side by side', async () => {
  const { events, work, gates } = watched();
  const mutex = new Mutex();
  const all = [mutex.run(work('a1'), 'a'), mutex.run(work('b1'), 'b'), mutex.run(work('a2'), 'a')];
  await turn();
  expect(events).toEqual(['a1 begins', 'b1 begins']);
  gates.get('a1')!.resolve();
  await turn();
  expect(events.at(-1)).toBe('a2 begins');
  for (const gate of gates.values()) gate.resolve();
  await Promise.all(all);
});

it('is idle when all has ended, a failure included', async () => {
  const { work, gates } = watched();
  const mutex = new Mutex();
  await mutex.idle();
  let idle = false;
  void mutex.run(work('a')).catch(() => undefined);
  const failed = mutex.run(() => Promise.reject(new Error('no'))).catch(() => undefined);
  void mutex.idle().then(() => (idle = true));
  await turn();
  expect(idle).toBe(false);
  gates.get('a')!.resolve();
  await failed;
  await turn();
  expect(idle).toBe(true);
});

import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { Withdrawals } from './withdrawals.ts';

const MINUTE_MS = 60_000;

function called(deadlineMs = Date.now() + MINUTE_MS) {
  const stream = new PassThrough();
  const call = Object.assign(new EventEmitter(), { cancelled: false, getDeadline: () => deadlineMs });
  return { call, stream, of: { call, caller: { peer: { node: 'server-1', role: 'server' }, stream } } };
}

/** Work that ends when it is told to, and its signal. */
function held(withdrawals: Withdrawals, { of }: ReturnType<typeof called>) {
  const { promise, resolve } = Promise.withResolvers<void>();
  let given: AbortSignal | undefined;
  const work = (signal: AbortSignal) => {
    given = signal;
    return promise;
  };
  const run = withdrawals.run('ticket', work, of);
  return { end: () => (resolve(), run), signal: given! };
}

it('aborts the work of a call that is cancelled', async () => {
  const first = called();
  const { signal, end } = held(new Withdrawals(), first);
  first.call.emit('cancelled');
  expect(signal.reason).toMatchObject({ code: 'CANCELLED' });
  await end();
});

it('aborts the work of a ticket that is withdrawn, and of no other', async () => {
  const withdrawals = new Withdrawals();
  const { signal, end } = held(withdrawals, called());
  withdrawals.withdraw('another');
  expect(signal.aborted).toBe(false);
  withdrawals.withdraw('ticket');
  expect(signal.reason).toMatchObject({ code: 'CANCELLED' });
  await end();
});

it('goes on when the connection is lost, and when the deadline passes', async () => {
  const withdrawals = new Withdrawals();
  const lost = called();
  const late = called(Date.now() + 1000);
  const work = [held(withdrawals, lost), held(withdrawals, late)];
  lost.stream.destroy();
  lost.call.emit('cancelled');
  late.call.emit('cancelled');
  expect(work.map(({ signal }) => signal.aborted)).toEqual([false, false]);
  await Promise.all(work.map(({ end }) => end()));
});

it('aborts the work of a lost call when the order that repeats it is cancelled', async () => {
  const withdrawals = new Withdrawals();
  const [lost, again] = [called(), called()];
  const first = held(withdrawals, lost);
  lost.stream.destroy();
  lost.call.emit('cancelled');
  const second = held(withdrawals, again);
  again.call.emit('cancelled');
  expect(first.signal.aborted).toBe(true);
  await Promise.all([first.end(), second.end()]);
});

it('begins anew for an order that comes after it was cancelled', async () => {
  const withdrawals = new Withdrawals();
  const before = called();
  const first = held(withdrawals, before);
  before.call.emit('cancelled');
  const second = held(withdrawals, called());
  await first.end();
  expect(second.signal.aborted).toBe(false);
  const third = held(withdrawals, called());
  expect(third.signal).toBe(second.signal);
  await Promise.all([second.end(), third.end()]);
});

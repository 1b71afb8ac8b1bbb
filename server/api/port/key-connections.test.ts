// How many connections one API key may have.
import { Socket } from 'node:net';
import { once } from 'node:events';
import { expect, it, onTestFinished } from 'vitest';
import { KeyConnections } from './key-connections.ts';

function sockets(count: number): Socket[] {
  const made = Array.from({ length: count }, () => new Socket());
  onTestFinished(() => made.forEach((socket) => socket.destroy()));
  return made;
}

async function close(socket: Socket): Promise<void> {
  const closed = once(socket, 'close');
  socket.destroy();
  await closed;
}

it('are so many of each key, whatever another one has, and one more for one that is closed', async () => {
  const connections = new KeyConnections(2);
  const [a, b, c] = sockets(3) as [Socket, Socket, Socket];
  expect([connections.take(a, 'one'), connections.take(b, 'one'), connections.take(a, 'one')]).toEqual([
    true,
    true,
    true,
  ]);
  expect(connections.take(c, 'one')).toBe(false);
  expect(connections.take(c, 'two')).toBe(true);
  await close(a);
  expect(connections.take(c, 'one')).toBe(true);
});

it('belong to the key that used them last: a proxy sends the requests of many over one', () => {
  const connections = new KeyConnections(1);
  const [shared, other] = sockets(2) as [Socket, Socket];
  for (let times = 0; times < 3; times += 1) {
    for (const key of ['one', 'two', 'three']) expect(connections.take(shared, key)).toBe(true);
  }
  expect([connections.take(other, 'one'), connections.take(other, 'three')]).toEqual([true, false]);
});

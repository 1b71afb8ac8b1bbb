// Streams between two ends of one process, for what runs over the mesh but does not need one.
import { connect, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';

/** Two connected ends in memory; when one closes, the other does. */
export function memoryPair(): [Duplex, Duplex] {
  const [a, b] = duplexPair();
  a.once('close', () => setImmediate(() => b.destroy()));
  b.once('close', () => setImmediate(() => a.destroy()));
  return [a, b];
}

/** Two ends of a real TCP connection on loopback. */
export async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no address');
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const near = connect(address.port, '127.0.0.1');
  const [far] = await accepted;
  await new Promise<void>((resolve) => {
    if (!near.connecting) resolve();
    else near.once('connect', () => resolve());
  });
  server.close();
  return [near, far];
}

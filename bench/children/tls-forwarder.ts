// The rival of a relay: a plain TLS forwarder, and its two endpoints.
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { answer, usage } from '../support/child.ts';

interface Keys {
  readonly key: string;
  readonly cert: string;
  readonly ca: string;
}
interface Start {
  readonly identityFile: string;
  /** Without it this is the sending endpoint. */
  readonly forwardTo?: number;
}

const block = Buffer.alloc(256 * 1024, 0x5a);
let keys: Keys | undefined;

async function dial(port: number): Promise<TLSSocket> {
  const socket = connect({ ...keys, host: '127.0.0.1', port, checkServerIdentity: () => undefined });
  socket.on('error', () => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

async function forward(from: TLSSocket, port: number): Promise<void> {
  const to = await dial(port);
  from.pipe(to).pipe(from);
  from.once('close', () => to.destroy());
  to.once('close', () => from.destroy());
}

async function source(socket: TLSSocket): Promise<void> {
  const [order] = (await once(socket, 'data')) as [Buffer];
  for (let left = Number(order.toString()); left > 0; left -= block.length) {
    if (!socket.write(left < block.length ? block.subarray(0, left) : block)) await once(socket, 'drain');
  }
  socket.end();
}

answer({
  async start({ identityFile, forwardTo }: Start) {
    const file = JSON.parse(readFileSync(identityFile, 'utf8')) as Record<string, string>;
    keys = { key: file['keyPem'] ?? '', cert: file['certificatePem'] ?? '', ca: file['authorityPem'] ?? '' };
    const server = createServer({ ...keys, requestCert: true, minVersion: 'TLSv1.3' }, (socket) => {
      socket.on('error', () => socket.destroy());
      void (forwardTo === undefined ? source(socket) : forward(socket, forwardTo));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  },
  async download({ port, bytes }: { port: number; bytes: number }) {
    const socket = await dial(port);
    const began = performance.now();
    socket.write(String(bytes));
    let left = bytes;
    await new Promise<void>((resolve, reject) => {
      socket.on('data', (chunk: Buffer) => {
        left -= chunk.length;
        if (left <= 0) resolve();
      });
      socket.once('close', () => reject(new Error('closed early')));
    });
    socket.destroy();
    return (performance.now() - began) / 1000;
  },
  usage,
});

// A TCP line on this machine: a port whose connections lead to another port, with whatever happens to them on the way.
import { once } from 'node:events';
import net from 'node:net';
import { onTestFinished } from 'vitest';

export interface TcpLine {
  readonly address: string;
  /** Both ends of every connection that is open. */
  readonly sockets: ReadonlySet<net.Socket>;
}

interface TcpLineOptions {
  /** Where its connections come from, as the other port sees it. */
  readonly localAddress?: string;
  /** For each connection once in each direction: what `one` receives is for `other`, and so is its end. */
  carry(one: net.Socket, other: net.Socket): void;
}

/** Opens a line to host:port, which may not be known yet: then a connection is closed at once. */
export async function tcpLine(to: () => string | undefined, { localAddress, carry }: TcpLineOptions): Promise<TcpLine> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((near) => {
    const [host, port] = to()?.split(':') ?? [];
    if (host === undefined) {
      near.destroy();
      return;
    }
    const far = net.connect({ host, port: Number(port), ...(localAddress === undefined ? {} : { localAddress }) });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => undefined).once('close', () => sockets.delete(one));
      carry(one, other);
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`, sockets };
}

// A local listener for grpc-js, which always opens a socket of its own before it asks the credentials for the secure one.
// The listener accepts that socket and closes it; no byte crosses it.
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { randomBytes } from 'node:crypto';

let opening: Promise<string> | undefined;

/**
 * The gRPC target of this process's local listener, opened at first use. It never keeps the process alive. Rejects when
 * the system has no descriptor left; the next call then tries again.
 */
export function localTarget(): Promise<string> {
  opening ??= openListener().catch((thrown: unknown) => {
    opening = undefined;
    throw thrown;
  });
  return opening;
}

async function openListener(): Promise<string> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.destroy();
  });
  server.unref();
  // An abstract socket needs no folder, port or loopback interface; only Linux has them.
  if (process.platform === 'linux') {
    const path = `\0isthmus-grpc-${process.pid}-${randomBytes(6).toString('hex')}`;
    server.listen({ path });
    await once(server, 'listening');
    goOnListening(server);
    return `unix:${path}`;
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  goOnListening(server);
  const address = server.address();
  return `ipv4:127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
}

/** After errors of `accept`, as when descriptors run out. */
function goOnListening(server: Server): void {
  server.on('error', () => undefined);
}

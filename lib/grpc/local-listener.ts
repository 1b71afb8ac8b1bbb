// grpc-js opens a socket of its own before it asks the credentials for the secured one, and has no hook to dial. The
// gate is what it may open: a listener of this process that takes the connection and drops it. No byte crosses it.
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { randomBytes } from 'node:crypto';

let opening: Promise<string> | undefined;

/** The gRPC target of this process's gate, opened at first use. It never keeps the process alive. */
export function gateTarget(): Promise<string> {
  opening ??= openGate();
  return opening;
}

async function openGate(): Promise<string> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.destroy();
  });
  server.unref();
  // An abstract socket needs no folder, no port and no loopback interface; other systems than Linux have none.
  if (process.platform === 'linux') {
    const path = `\0isthmus-gate-${process.pid}-${randomBytes(6).toString('hex')}`;
    server.listen({ path });
    await once(server, 'listening');
    return `unix:${path}`;
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return `ipv4:127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
}

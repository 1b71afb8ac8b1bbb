// A TCP line that takes its time: what goes in at one end comes out at the other a while later, in order.
import net from 'node:net';
import { onTestFinished } from 'vitest';

/** Listens on a port whose connections reach `to` with `delayMs` each way; answers its address. */
export async function slowLine(to: string, delayMs: number): Promise<string> {
  const [host = '', port = ''] = to.split(':');
  const sockets = new Set<net.Socket>();
  const later = (run: () => void) => void setTimeout(run, delayMs).unref();
  const server = net.createServer((near) => {
    const far = net.connect(Number(port), host);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('data', (chunk) => later(() => void (other.destroyed || other.write(chunk))));
      one.on('error', () => undefined);
      one.on('close', () => {
        sockets.delete(one);
        later(() => other.destroy());
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

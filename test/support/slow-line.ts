// A TCP line that takes its time: what goes in at one end comes out at the other a while later, in order.
import { tcpLine } from './tcp-line.ts';

/** Listens on a port whose connections reach `to` with `delayMs` each way; answers its address. */
export async function slowLine(to: string, delayMs: number): Promise<string> {
  const later = (run: () => void) => void setTimeout(run, delayMs).unref();
  const { address } = await tcpLine(() => to, {
    carry(one, other) {
      one.on('data', (chunk) => later(() => void (other.destroyed || other.write(chunk))));
      one.on('close', () => later(() => other.destroy()));
    },
  });
  return address;
}

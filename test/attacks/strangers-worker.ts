// A thread that opens many connections without a key at the port of an API, says what its kind says, and keeps them as
// long as it is let.
import net from 'node:net';
import tls from 'node:tls';
import { parentPort, workerData } from 'node:worker_threads';

export interface StrangersOrder {
  readonly port: number;
  readonly count: number;
  readonly secure: boolean;
  /** What each says first. */
  readonly says: string;
  /** Whether it says one more byte now and then. */
  readonly trickles: boolean;
}

/** How many have been connected, and how many of them still are. */
export interface StrangersState {
  readonly connected: number;
  readonly open: number;
}

const trickleEveryMs = 500;

const { port, count, secure, says, trickles } = workerData as StrangersOrder;
let connected = 0;
let open = 0;

for (let i = 0; i < count; i += 1) {
  const raw = net.connect(port, '127.0.0.1', () => {
    connected += 1;
    open += 1;
    raw.once('close', () => (open -= 1));
  });
  raw.on('error', () => undefined);
  const socket = secure && says !== '' ? tls.connect({ socket: raw, rejectUnauthorized: false }) : raw;
  socket.on('error', () => undefined);
  socket.resume();
  if (says !== '') socket.write(says);
  if (!trickles) continue;
  const timer = setInterval(() => socket.write('x'), trickleEveryMs);
  socket.once('close', () => clearInterval(timer));
}

parentPort!.on('message', () => {
  parentPort!.postMessage({ connected, open } satisfies StrangersState);
});

// Measures a network from inside the lab's hosts, without Isthmus.
//   probe.ts serve PORT            a TCP server: echoes after `e`, counts after `s` and answers the count
//   probe.ts rtt HOST PORT         median round trip of 20 one-byte exchanges, in ms
//   probe.ts send HOST PORT BYTES  seconds until the server has counted that many bytes
//   probe.ts reach HOST PORT       `open`, or the error code
// Each prints one line of JSON.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

function say(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function open(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  socket.setTimeout(3_000, () => socket.destroy(Object.assign(new Error('no answer'), { code: 'TIMEOUT' })));
  await once(socket, 'connect');
  return socket;
}

function count(socket: Socket, first: Buffer): void {
  let received = first.length;
  socket.on('data', (chunk: Buffer) => (received += chunk.length));
  socket.on('end', () => socket.end(`${received}\n`));
}

function serve(port: number): void {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', (first: Buffer) => {
      if (first.toString('latin1', 0, 1) === 's') return count(socket, first.subarray(1));
      socket.write(first.subarray(1));
      socket.pipe(socket);
    });
  });
  server.listen(port, '0.0.0.0', () => say({ listening: true }));
}

async function rtt(host: string, port: number): Promise<void> {
  const socket = await open(host, port);
  socket.write('e');
  const times: number[] = [];
  for (let i = 0; i < 20; i += 1) {
    const began = performance.now();
    socket.write('x');
    await once(socket, 'data');
    times.push(performance.now() - began);
  }
  socket.destroy();
  times.sort((a, b) => a - b);
  say({ medianMs: times[10] });
}

async function send(host: string, port: number, bytes: number): Promise<void> {
  const socket = await open(host, port);
  socket.setTimeout(0);
  const began = performance.now();
  socket.write('s');
  const chunk = Buffer.alloc(64 * 1024);
  for (let left = bytes; left > 0; left -= chunk.length) {
    if (!socket.write(left < chunk.length ? chunk.subarray(0, left) : chunk)) await once(socket, 'drain');
  }
  socket.end();
  const [answer] = (await once(socket, 'data')) as [Buffer];
  say({ seconds: (performance.now() - began) / 1000, counted: Number(answer.toString()) });
}

const [verb = '', host = '', port = '0', bytes = '0'] = process.argv.slice(2);
if (verb === 'serve') serve(Number(host));
else if (verb === 'rtt') await rtt(host, Number(port));
else if (verb === 'send') await send(host, Number(port), Number(bytes));
else
  await open(host, Number(port)).then(
    (socket) => {
      socket.destroy();
      say({ result: 'open' });
    },
    (failure: { code?: string }) => say({ result: failure.code ?? 'ERROR' }),
  );

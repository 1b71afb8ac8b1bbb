// A socket that the example applications stay connected to: the kernel closes it when this process ends, however it
// ends, and they stop. It is also the lock on the state folder: two quickstarts on one folder would share its ports.
import { rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { IsthmusError } from '../../contract/errors.ts';

export interface Lifeline {
  /** Closes the socket: every connected application stops. */
  close(): Promise<void>;
}

async function isHeld(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path);
  socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
  const held = await promise;
  socket.destroy();
  return held;
}

/** Takes the lifeline at `path`; throws DATA_DIR_LOCKED when another process has it. */
export async function holdLifeline(path: string, folder: string): Promise<Lifeline> {
  if (await isHeld(path)) {
    throw new IsthmusError('DATA_DIR_LOCKED', `another quickstart is running on ${folder}`, {
      remedy: 'Stop it first, or use another folder with --data.',
    });
  }
  // A quickstart that was killed leaves its socket.
  await rm(path, { force: true });
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
    socket.resume();
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject).listen(path, resolve);
  await promise;
  return {
    async close() {
      const closed = new Promise((done) => server.close(done));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

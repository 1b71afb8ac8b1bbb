// The admin socket, in the data folder and for those who may access that folder: a backup uses it to ask the running
// server, which alone may open the database, for a copy. One request per connection, on one line.
import { once } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';

const SOCKET_FILE = 'control.sock';

/** Copying a database takes a while; no answer within this time is a fault. */
const ANSWER_WITHIN_MS = 10 * 60_000;

/** Only names in the data folder: the requester chooses a name, not a path. */
const COPY_NAME = /^backup-[0-9a-f]{12}\.db$/;

interface AdminSocketDeps {
  /** Writes a consistent copy of the database. */
  readonly copyTo: (file: string) => Promise<void>;
  readonly log: Logger;
}

interface AdminAnswer {
  readonly done: boolean;
  readonly error?: string;
}

/** Listens in the data folder. The returned function stops it. */
export async function startAdminSocket(
  dataDir: string,
  { copyTo, log }: AdminSocketDeps,
): Promise<() => Promise<void>> {
  const path = socketPath(dataDir);
  // This process holds the exclusive lock on the database, so an existing socket is left from a crash.
  rmSync(join(dataDir, SOCKET_FILE), { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
    void serve(socket, dataDir, copyTo).catch((err: unknown) => {
      log.error({ err }, 'could not copy the database');
      socket.end(`${JSON.stringify({ done: false, error: 'the copy failed; the server log says why' })}\n`);
    });
  });
  server.maxConnections = 4;
  server.listen(path.name);
  try {
    await once(server, 'listening');
    await chmod(join(dataDir, SOCKET_FILE), 0o600);
  } finally {
    path.close();
  }
  return async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, 'close');
    rmSync(join(dataDir, SOCKET_FILE), { force: true });
  };
}

async function serve(socket: Socket, dataDir: string, copyTo: AdminSocketDeps['copyTo']): Promise<void> {
  socket.setTimeout(ANSWER_WITHIN_MS, () => socket.destroy());
  for await (const line of createInterface({ input: socket })) {
    const name = /^copy (\S{1,100})$/.exec(line)?.[1] ?? '';
    if (!COPY_NAME.test(name)) throw new IsthmusError('INVALID_FIELD', 'the admin socket does not know this request');
    await copyTo(join(dataDir, name));
    socket.end(`${JSON.stringify({ done: true })}\n`);
    return;
  }
}

/** Asks the server that runs on this folder for a copy of its database, as a new file of this name in the folder. */
export async function askForCopy(dataDir: string, name: string): Promise<void> {
  const path = socketPath(dataDir);
  const socket = connect(path.name);
  try {
    await once(socket, 'connect').finally(() => {
      path.close();
    });
    socket.setTimeout(ANSWER_WITHIN_MS, () => socket.destroy());
    socket.write(`copy ${name}\n`);
    for await (const line of createInterface({ input: socket })) {
      const answer = JSON.parse(line) as AdminAnswer;
      if (!answer.done) throw new IsthmusError('INTERNAL', answer.error ?? 'the server did not copy the database');
      return;
    }
    throw new IsthmusError('INTERNAL', 'the server closed without an answer');
  } finally {
    socket.destroy();
  }
}

/** A socket's path has at most 107 bytes; a longer one is reached through a descriptor of its folder. */
function socketPath(dataDir: string): { readonly name: string; close(): void } {
  const plain = join(dataDir, SOCKET_FILE);
  if (Buffer.byteLength(plain) <= 100) return { name: plain, close: () => undefined };
  const folder = openSync(dataDir, 'r');
  return {
    name: `/proc/self/fd/${folder}/${SOCKET_FILE}`,
    close: () => {
      closeSync(folder);
    },
  };
}

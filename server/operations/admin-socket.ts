// The admin socket, in the data folder and for those who may access that folder: what only the running server can do,
// which alone may open the database, a command on its machine asks it for. One request per connection, on one line.
import { once } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { background, logErrorsOf } from '../../lib/async/background.ts';
import type { CreatedApiKey, NewApiKey } from '../../contract/api-keys.ts';
import { IsthmusError, isErrorCode } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';

const SOCKET_FILE = 'control.sock';

/** Copying a database takes a while; no answer within this time is a fault. */
const ANSWER_WITHIN_MS = 10 * 60_000;

/** What may be asked for. The requester chooses names in the data folder, never paths. */
export interface AdminRequests {
  /** Writes a consistent copy of the database under this name in the data folder. */
  readonly copy: (name: string) => Promise<null>;
  readonly createKey: (key: NewApiKey) => Promise<CreatedApiKey>;
}

type AdminRequest = { readonly [Name in keyof AdminRequests]: Request<Name> }[keyof AdminRequests];

interface Request<Name extends keyof AdminRequests> {
  readonly request: Name;
  readonly argument: Parameters<AdminRequests[Name]>[0];
}

type AdminAnswer =
  { readonly result: unknown } | { readonly error: { readonly code: string; readonly message: string } };

/** Listens in the data folder. The returned function stops it. */
export async function startAdminSocket(
  dataDir: string,
  requests: AdminRequests,
  log: Logger,
): Promise<() => Promise<void>> {
  const path = socketPath(dataDir);
  // This process holds the exclusive lock on the database, so an existing socket is left from a crash.
  rmSync(join(dataDir, SOCKET_FILE), { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket));
    background('admin.request', log, () => serve(socket, requests, log));
  });
  server.maxConnections = 4;
  server.listen(path.name);
  try {
    await once(server, 'listening');
    logErrorsOf(server, 'admin.listener', log);
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

async function serve(socket: Socket, requests: AdminRequests, log: Logger): Promise<void> {
  socket.setTimeout(ANSWER_WITHIN_MS, () => socket.destroy());
  const answer = (content: AdminAnswer) => socket.end(`${JSON.stringify(content)}\n`);
  try {
    const line = await firstLine(socket);
    if (line !== undefined) answer({ result: await perform(requests, JSON.parse(line) as AdminRequest) });
  } catch (err) {
    log.error({ err }, 'a request at the admin socket failed');
    const known = err instanceof IsthmusError ? err : new IsthmusError('INTERNAL', 'the server log says why');
    answer({ error: { code: known.code, message: known.message } });
  }
}

async function perform(requests: AdminRequests, asked: AdminRequest): Promise<unknown> {
  switch (asked.request) {
    case 'copy':
      return requests.copy(asked.argument);
    case 'createKey':
      return requests.createKey(asked.argument);
    default:
      throw new IsthmusError('INVALID_FIELD', 'the admin socket does not know this request', { field: 'request' });
  }
}

/** What may be asked for, asked of the server that runs on this folder; throws the error that it answers. */
export function runningServer(dataDir: string): AdminRequests {
  return {
    copy: async (argument) => (await ask(dataDir, { request: 'copy', argument })) as null,
    createKey: async (argument) => (await ask(dataDir, { request: 'createKey', argument })) as CreatedApiKey,
  };
}

async function ask(dataDir: string, asked: AdminRequest): Promise<unknown> {
  const path = socketPath(dataDir);
  const socket = connect(path.name);
  try {
    await once(socket, 'connect').finally(() => {
      path.close();
    });
    socket.setTimeout(ANSWER_WITHIN_MS, () => socket.destroy());
    socket.write(`${JSON.stringify(asked)}\n`);
    const line = await firstLine(socket);
    if (line === undefined) throw new IsthmusError('INTERNAL', 'the server closed without an answer');
    const answer = JSON.parse(line) as AdminAnswer;
    if ('result' in answer) return answer.result;
    const { code, message } = answer.error;
    throw new IsthmusError(isErrorCode(code) ? code : 'INTERNAL', message);
  } finally {
    socket.destroy();
  }
}

async function firstLine(socket: Socket): Promise<string | undefined> {
  for await (const line of createInterface({ input: socket })) return line;
  return undefined;
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

// The state folder of the quickstart: its paths, and the ports and secret that are kept between starts.
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { IsthmusError } from '../../contract/errors.ts';
import { makeFolder } from '../../lib/files/folder.ts';

export interface DemoState {
  /** By name of the listener: `api`, `mesh`, `eu`, `web eu-1` … */
  readonly ports: Readonly<Record<string, number>>;
  /** Secret of the example application; created once, so that a second start changes nothing. */
  readonly signingKey: string;
}

const STATE_FILE = 'state.json';

/** Marks a folder as the quickstart's: `--clean` deletes only in a folder that has it. Written first, never deleted. */
const MARKER = 'created-by-isthmus-quickstart';

export class StateFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get contextFile(): string {
    return join(this.path, 'context.json');
  }

  /** The folder of a node: its identity and settings, the server's database. */
  dataDir(node: string): string {
    return join(this.path, 'nodes', node);
  }

  logFile(name: string): string {
    return join(this.path, 'logs', `${name}.log`);
  }

  /** Where the example application of a machine keeps its pid file and log. */
  runDir(machine: string): string {
    return join(this.path, 'run', machine);
  }

  /**
   * The socket that the example applications stay connected to. A socket path has at most 107 bytes, so for a deep
   * folder it is elsewhere.
   */
  get lifeline(): string {
    const near = join(this.path, 'lifeline.sock');
    if (Buffer.byteLength(near) < 100) return near;
    const name = createHash('sha256').update(this.path).digest('hex').slice(0, 16);
    return join(tmpdir(), `isthmus-${name}.sock`);
  }

  /**
   * Creates the folder, private: it holds keys. CONFIG_INVALID, with nothing changed, for a folder with other files:
   * `--clean` would delete them.
   */
  async prepare({ clean }: { clean: boolean }): Promise<void> {
    const inside = await readdir(this.path).catch((cause: NodeJS.ErrnoException): string[] => {
      if (cause.code === 'ENOENT') return [];
      throw cause;
    });
    if (inside.length > 0 && !inside.some((name) => name === MARKER || name === STATE_FILE)) {
      throw new IsthmusError('CONFIG_INVALID', `${this.path} holds other files and was left unchanged`, {
        remedy: 'Name a folder that is new, empty or of an earlier quickstart with --data.',
      });
    }
    makeFolder(this.path);
    await chmod(this.path, 0o700);
    await writeFile(join(this.path, MARKER), 'isthmus quickstart --clean deletes everything in this folder.\n');
    const old = clean ? inside.filter((name) => name !== MARKER) : [];
    for (const name of old) await rm(join(this.path, name), { recursive: true, force: true });
    await mkdir(join(this.path, 'logs'), { recursive: true });
  }

  /** The state of an earlier start, with a free port for each name that has none yet. */
  async load(listeners: readonly string[]): Promise<DemoState> {
    const file = join(this.path, STATE_FILE);
    const before = await readState(file);
    const missing = listeners.filter((name) => before.ports[name] === undefined);
    const free = await freePorts(missing.length);
    const ports = { ...before.ports, ...Object.fromEntries(missing.map((name, index) => [name, free[index]!])) };
    const state: DemoState = { ports, signingKey: before.signingKey ?? randomBytes(18).toString('base64url') };
    await writeFile(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
    await rename(`${file}.new`, file);
    return state;
  }
}

async function readState(file: string): Promise<{ ports: Record<string, number>; signingKey?: string }> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as { ports: Record<string, number>; signingKey?: string };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return { ports: {} };
    throw new IsthmusError('CONFIG_INVALID', `${file} cannot be read`, { remedy: 'Start over with --clean.', cause });
  }
}

/** Free ports on loopback; all are held open at once, so that no two are equal. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen(0)));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return ports;
}

function listen(port: number): Promise<ReturnType<typeof createServer>> {
  const { promise, resolve, reject } = Promise.withResolvers<ReturnType<typeof createServer>>();
  const server = createServer();
  server.once('error', reject);
  server.listen(port, '127.0.0.1', () => resolve(server));
  return promise;
}

// A whole Isthmus for a test: a server and any nodes, each a process of the real command line, on this machine or in
// the hosts of the lab. Every process stops with its standard input, so a test that dies leaves none behind.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { Api } from './api.ts';
import { onThisMachine, type Spawner } from './spawner.ts';
import { waitFor } from './wait.ts';

const program = join(import.meta.dirname, '../../cli/main.ts');
const startLimitMs = 60_000;

export interface NodePlan {
  readonly id: string;
  readonly role: 'relay' | 'mirror' | 'tentacle';
  readonly site: string;
  /** `server` or a relay's id. */
  readonly parent: string;
  /** Where its parents dial it; without it, it dials its parent at `parentAddress`. */
  readonly dialAddress?: string;
  readonly parentAddress?: string;
  /** Further parents, in order of preference, with their addresses where it dials them, or where that one dials it. */
  readonly otherParents?: readonly {
    readonly node: string;
    readonly address?: string;
    readonly dialAddress?: string;
  }[];
  /** Where it listens: relays with children, and dialled nodes. */
  readonly listen?: string;
  readonly spawner?: Spawner;
  /** Further words for `start`. */
  readonly settings?: readonly string[];
  /** What the token says of a tentacle's machine. */
  readonly machine?: { readonly environments?: string[]; readonly targetRoles?: string[]; readonly routes?: object[] };
}

export interface WorldOptions {
  /** Data folders and logs go here; the caller removes it. */
  readonly folder: string;
  readonly meshListen: string;
  readonly apiListen: string;
  /** Where the server's process runs. */
  readonly spawner?: Spawner;
  /** Further words for the server's `start`. */
  readonly serverSettings?: readonly string[];
  /** Set where the API cannot be reached by TCP from here: see unix-bridge.ts. */
  readonly bridged?: boolean;
}

export interface CreatedToken {
  readonly token: string;
  readonly pin: string;
}

interface MeshView {
  readonly nodes: readonly { readonly id: string; readonly lastSeenAt: number | null }[];
  readonly links: readonly { readonly from: string; readonly to: string; readonly state: string }[];
}

interface Started {
  readonly childProcess: ChildProcess;
  readonly exited: Promise<unknown>;
  /** Before its process was made. */
  readonly startedAtMs: number;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

export class World {
  readonly #options: WorldOptions;
  readonly #nodes = new Map<string, NodePlan>();
  readonly #running = new Map<string, Started>();
  #bridge: ChildProcess | undefined;
  #api: Api | undefined;

  private constructor(options: WorldOptions) {
    this.#options = options;
  }

  /** Makes a mesh and starts its server. */
  static async up(options: WorldOptions): Promise<World> {
    const world = new World(options);
    try {
      await mkdir(join(options.folder, 'logs'), { recursive: true });
      const where = ['--mesh-listen', options.meshListen, '--api-listen', options.apiListen];
      const context = ['--context', join(options.folder, 'context/context.json')];
      await world.#run('server', [...context, 'init', '--data', world.dataDir('server'), ...where], options.spawner);
      await world.start('server');
      await world.#openApi();
      return world;
    } catch (thrown) {
      await world.stop();
      throw thrown;
    }
  }

  get api(): Api {
    if (this.#api === undefined) throw new Error('the server has not started');
    return this.#api;
  }

  /** The nodes that were added. */
  get nodes(): readonly NodePlan[] {
    return [...this.#nodes.values()];
  }

  dataDir(id: string): string {
    return join(this.#options.folder, id);
  }

  async #openApi(): Promise<void> {
    const folder = join(this.#options.folder, 'context');
    const context = JSON.parse(await readFile(join(folder, 'context.json'), 'utf8')) as { apiKeyFile: string };
    const key = (await readFile(join(folder, context.apiKeyFile), 'utf8')).trim();
    const [host = '', port = ''] = this.#options.apiListen.split(':');
    if (this.#options.bridged !== true) {
      this.#api = new Api({ host, port: Number(port) }, key);
      return;
    }
    const socketPath = join(this.#options.folder, 'api.sock');
    const script = join(import.meta.dirname, 'unix-bridge.ts');
    const spawner = this.#options.spawner ?? onThisMachine;
    const bridge = spawner(process.execPath, [script, socketPath, host, port], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#bridge = bridge;
    await once(bridge.stdout!, 'data');
    this.#api = new Api({ socketPath }, key);
  }

  /** Runs a command of a node's program to its end; throws with its log when it fails. */
  async #run(id: string, words: readonly string[], spawner: Spawner = onThisMachine, input = ''): Promise<string> {
    const child = spawner(process.execPath, [program, ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
    const [output, errors] = [text(child.stdout!), text(child.stderr!)];
    child.stdin!.on('error', () => undefined).end(input);
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`the command for ${id} ended with ${code}: ${await errors}${await output}`);
    return output;
  }

  /** Makes a token for a node, joins it from where it runs, and starts it. */
  async add(plan: NodePlan): Promise<void> {
    const { id, role, site, parent, dialAddress, otherParents = [], machine } = plan;
    const nodes = [
      { node: parent, dialAddress },
      ...otherParents.map(({ node, address, dialAddress: at = address === undefined ? dialAddress : undefined }) => ({
        node,
        dialAddress: at,
      })),
    ];
    const made = await this.api.post<CreatedToken>('tokens', {
      ...{ role, site, name: id },
      parents: nodes.map(({ node, dialAddress: at }) => ({ node, ...(at === undefined ? {} : { dialAddress: at }) })),
      ...machine,
    });
    await this.join(plan, made);
  }

  /** Joins a node from where it runs, and starts it. */
  async join(plan: NodePlan, { token, pin }: CreatedToken): Promise<void> {
    const { id, parentAddress, otherParents = [], listen } = plan;
    const addresses = [parentAddress, ...otherParents.map(({ address }) => address)];
    const words = [
      ...['join', '--data', this.dataDir(id), '--pin', pin, '--token-file', '-'],
      ...addresses.flatMap((address) => (address === undefined ? [] : ['--address', address])),
      ...(listen === undefined ? [] : ['--listen', listen]),
    ];
    await this.#run(id, words, plan.spawner, `${token}\n`);
    await this.startJoined(plan);
  }

  /** Starts a node that joined by itself, with this data folder. */
  async startJoined(plan: NodePlan): Promise<void> {
    this.#nodes.set(plan.id, plan);
    await this.start(plan.id);
  }

  /** Starts a node that has joined, or the server; resolves once it says that it has started. */
  async start(id: string): Promise<void> {
    const plan = this.#nodes.get(id);
    const spawner = (plan === undefined ? this.#options.spawner : plan.spawner) ?? onThisMachine;
    const settings = (plan === undefined ? this.#options.serverSettings : plan.settings) ?? [];
    const words = [plan?.role ?? 'server', 'start', '--data', this.dataDir(id), ...settings];
    const log = await open(join(this.#options.folder, 'logs', `${id}.log`), 'a', 0o600);
    const startedAtMs = Date.now();
    const child = spawner(process.execPath, [program, '-o', 'json', ...words, '--stop-with-stdin'], {
      stdio: ['pipe', 'pipe', log.fd],
    });
    await log.close();
    child.stdin!.on('error', () => undefined);
    const exited = once(child, 'exit');
    this.#running.set(id, { childProcess: child, exited, startedAtMs });
    const lines = createInterface({ input: child.stdout! });
    const said = once(lines, 'line', { signal: AbortSignal.timeout(startLimitMs) });
    const first = await Promise.race([said.then(() => true), exited.then(() => false)]);
    lines.close();
    child.stdout!.resume();
    if (!first) throw new Error(`${id} did not start: ${await this.log(id)}`);
  }

  /** The process of a node that runs. */
  pid(id: string): number {
    const pid = this.#running.get(id)?.childProcess.pid;
    if (pid === undefined) throw new Error(`${id} does not run`);
    return pid;
  }

  /** Sends a signal; after SIGKILL, waits until the process is gone. */
  async signal(id: string, signal: NodeJS.Signals): Promise<void> {
    const started = this.#running.get(id);
    if (started === undefined) throw new Error(`${id} does not run`);
    started.childProcess.kill(signal);
    if (signal !== 'SIGKILL') return;
    await started.exited;
    this.#running.delete(id);
  }

  /** Stops one process as systemd does, and waits until it is gone. */
  async stopOne(id: string): Promise<void> {
    const started = this.#running.get(id);
    if (started === undefined) throw new Error(`${id} does not run`);
    started.childProcess.kill('SIGTERM');
    await started.exited;
    this.#running.delete(id);
  }

  /** Ends a process as its service would, and waits until it is gone. */
  async terminate(id: string): Promise<void> {
    const started = this.#running.get(id);
    started?.childProcess.kill('SIGTERM');
    await started?.exited;
    this.#running.delete(id);
  }

  /** The end of a node's log, or all of it. */
  async log(id: string, lines: number = 30): Promise<string> {
    const whole = await readFile(join(this.#options.folder, 'logs', `${id}.log`), 'utf8').catch(() => '');
    return whole.trimEnd().split('\n').slice(-lines).join('\n');
  }

  /** What there is to know of each process after a test that failed: whether it runs, and the end of its log. */
  async autopsy(): Promise<string> {
    const parts = [...this.#running].map(async ([id, { childProcess: child }]) => {
      const ended = child.exitCode ?? child.signalCode;
      return `── ${id}: ${ended === null ? `runs (${child.pid})` : `ended by itself: ${ended}`}\n${await this.log(id)}`;
    });
    return (await Promise.all(parts)).join('\n');
  }

  /**
   * Waits until the mesh says that these nodes are linked to each of their parents, and has heard it from them since
   * they were started: what a parent told last may be the link to the process before.
   */
  async linked(ids: readonly string[] = [...this.#nodes.keys()], limitMs = 60_000): Promise<void> {
    const wanted = ids.flatMap((id) => {
      const { parent, otherParents = [] } = this.#nodes.get(id)!;
      return [parent, ...otherParents.map(({ node }) => node)].map((from) => `${from}>${id}`);
    });
    await waitFor(
      async () => {
        const { nodes, links } = await this.api.get<MeshView>('mesh');
        const seen = new Map(nodes.map(({ id, lastSeenAt }) => [id, lastSeenAt ?? 0]));
        const silent = ids.filter((id) => (seen.get(id) ?? 0) <= (this.#running.get(id)?.startedAtMs ?? 0));
        if (silent.length > 0) throw new Error(`not heard from: ${silent.join(', ')}`);
        const up = links.flatMap((link) => (link.state === 'up' ? [`${link.from}>${link.to}`] : []));
        const down = wanted.filter((link) => !up.includes(link));
        if (down.length > 0) throw new Error(`not linked: ${down.join(', ')}`);
        return true;
      },
      { limitMs, everyMs: 100, what: 'the links' },
    );
  }

  async stop(): Promise<void> {
    this.#api?.close();
    this.#bridge?.stdin?.end();
    const all = [...this.#running.values()].map(async ({ childProcess: child, exited }) => {
      child.kill('SIGCONT');
      child.stdin?.end();
      const limit = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await exited;
      clearTimeout(limit);
    });
    await Promise.all(all);
    this.#running.clear();
    if (this.#bridge !== undefined && this.#bridge.exitCode === null) await once(this.#bridge, 'exit');
    this.#bridge = undefined;
  }
}

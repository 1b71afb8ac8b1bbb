// A whole mesh in one process: the server through its start, nodes through the real join, everything over real sockets.
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { Running } from '../../lib/component.ts';
import { joinNode } from '../../node/join/join.ts';
import { start as startMirror } from '../../mirror/start.ts';
import { start as startRelay } from '../../relay/start.ts';
import { initialise } from '../../server/operations/initialise.ts';
import { start as startServer, type ServerAddresses, type ServerConfig } from '../../server/start.ts';
import { start as startTentacle } from '../../tentacle/start.ts';
import '../support/answer-check.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { freePort } from '../support/world.ts';

export interface JsonAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

/** The API of a server, as its admin. */
export class ApiClient {
  readonly #url: string;
  readonly #key: string;

  constructor(url: string, key: string) {
    this.#url = url;
    this.#key = key;
  }

  async send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<JsonAnswer> {
    const bytes = body instanceof Uint8Array;
    const answer = await fetch(`${this.#url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#key}`,
        ...(body === undefined ? {} : { 'content-type': bytes ? 'application/octet-stream' : 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: bytes ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body) }),
    });
    const text = await answer.text();
    return {
      status: answer.status,
      headers: answer.headers,
      body: text === '' ? {} : (JSON.parse(text) as object as JsonAnswer['body']),
    };
  }

  /** Sends a request that must succeed; throws with the answer when it does not. */
  async ask(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<JsonAnswer['body']> {
    const answer = await this.send(method, path, body, headers);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** Waits for the end of the task that this request starts; returns the task as the API shows it. */
  async task(path: string, body: unknown): Promise<TaskView> {
    const { id } = await this.ask('POST', path, body);
    return waitFor(
      async () => {
        const task = (await this.ask('GET', `/tasks/${String(id)}`)) as unknown as TaskView;
        return task.endedAt === null ? undefined : task;
      },
      { limitMs: 45_000, what: `task ${String(id)}` },
    );
  }

  /** The text of a task's log lines, in order. */
  async log(task: string): Promise<string[]> {
    const { items } = await this.ask('GET', `/tasks/${task}/log?limit=500`);
    return (items as { kind: string; text: string }[])
      .filter((entry) => entry.kind === 'log')
      .map((entry) => entry.text);
  }
}

export interface TaskView {
  readonly id: string;
  readonly state: string;
  readonly endedAt: number | null;
  readonly error?: { readonly code: string; readonly detail: string };
  readonly machines: readonly {
    readonly machine: string;
    readonly state: string;
    readonly steps: readonly {
      readonly step: string;
      readonly action: string;
      readonly state: string;
      readonly exitCode: number | null;
      readonly error?: object;
      readonly detail: Record<string, unknown> | null;
    }[];
  }[];
}

interface NodePlan {
  readonly id: string;
  readonly role: 'relay' | 'mirror' | 'tentacle';
  readonly site?: string;
  readonly parent?: string;
  /** Its parents, in order of preference. */
  readonly parents?: readonly string[];
  /** The parents dial it; otherwise it dials its parents. */
  readonly dialled?: boolean;
  /** Puts something between it and its parents: returns the address to dial instead. */
  readonly through?: (address: string) => Promise<string>;
  /** Where its token says that the children of a relay dial it. */
  readonly address?: string;
  /** The machine's routes, when not the default ones over its parents. */
  readonly routes?: readonly object[];
}

export interface JoinedNode {
  readonly dataDir: string;
  readonly listen?: string;
  readonly parents: { node: string; address?: string }[];
}

const log = silentLogger();
const starts = { relay: startRelay, mirror: startMirror, tentacle: startTentacle };

export class WholeMesh {
  readonly folder: string;
  readonly dataDir: string;
  readonly adminKey: string;
  readonly pin: string;
  readonly #ports = new Map<string, string>();
  readonly #nodes = new Map<string, Running<unknown>>();
  #server: Running<ServerAddresses> | undefined;

  private constructor(folder: string, made: { adminKey: string; pin: string }) {
    this.folder = folder;
    this.dataDir = join(folder, 'server');
    this.adminKey = made.adminKey;
    this.pin = made.pin;
  }

  /** A mesh with its server, started. */
  static async up(): Promise<WholeMesh> {
    const folder = await tempDir();
    const listen = { meshListen: '127.0.0.1:0', apiListen: '127.0.0.1:0' };
    const mesh = new WholeMesh(folder, await initialise({ dataDir: join(folder, 'server'), ...listen }));
    mesh.#ports.set('server', `127.0.0.1:${await freePort()}`);
    await mesh.startServer();
    onTestFinished(() => mesh.stopServer());
    return mesh;
  }

  get api(): ApiClient {
    return new ApiClient(this.#server!.addresses.apiUrl, this.adminKey);
  }

  get addresses(): ServerAddresses {
    return this.#server!.addresses;
  }

  /** Where a node listens. */
  address(node: string): string {
    return this.#ports.get(node)!;
  }

  config(): ServerConfig {
    return { dataDir: this.dataDir, mesh: { listen: this.#ports.get('server')! }, api: { listen: '127.0.0.1:0' } };
  }

  async startServer(config: ServerConfig = this.config()): Promise<void> {
    this.#server = await startServer(config, { log });
  }

  async stopServer(): Promise<void> {
    await this.#server?.stop();
    this.#server = undefined;
  }

  /** Joins and starts a node, and waits for its link; it stops with the test, before its parent. */
  async add(plan: NodePlan): Promise<JoinedNode> {
    const joined = await this.join(plan);
    await this.startNode(plan, joined);
    return joined;
  }

  /** Starts a node that has joined, and waits for its link. */
  async startNode({ id, role }: Pick<NodePlan, 'id' | 'role'>, joined: JoinedNode): Promise<void> {
    const running = await starts[role](joined, { log });
    this.#nodes.set(id, running);
    onTestFinished(() => running.stop());
    await this.linked(id);
  }

  /** Joins a node; returns what is needed to start it. */
  async join({
    id,
    role,
    site = 'eu',
    parent = 'server',
    parents = [parent],
    dialled = false,
    ...more
  }: NodePlan): Promise<JoinedNode> {
    const address = `127.0.0.1:${await freePort()}`;
    const listens = dialled || role === 'relay';
    if (listens) this.#ports.set(id, address);
    const reached = new Map<string, string>();
    for (const node of dialled ? [] : parents) {
      const port = this.#ports.get(node)!;
      reached.set(node, (await more.through?.(port)) ?? port);
    }
    const made = await this.api.ask('POST', '/tokens', {
      ...{ role, site, name: id },
      parents: parents.map((node) => ({ node, ...(dialled ? { dialAddress: address } : {}) })),
      ...(more.address === undefined ? {} : { address: more.address }),
      ...(role === 'tentacle'
        ? { environments: ['prod'], targetRoles: ['web'], ...(more.routes && { routes: more.routes }) }
        : {}),
    });
    const dataDir = join(this.folder, id);
    await joinNode({
      dataDir,
      token: String(made.token),
      pin: this.pin,
      ...(listens ? { listen: address } : {}),
      ...(dialled ? {} : { addresses: [...reached.values()] }),
    });
    return {
      dataDir,
      ...(listens ? { listen: address } : {}),
      parents: parents.map((node) => ({ node, ...(dialled ? {} : { address: reached.get(node)! }) })),
    };
  }

  async stopNode(id: string): Promise<void> {
    await this.#nodes.get(id)?.stop();
  }

  /** Waits until the server sees links to these nodes up. */
  async linked(...ids: string[]): Promise<void> {
    await waitFor(
      async () => {
        const { links } = await this.api.ask('GET', '/mesh');
        const down = ids.filter(
          (id) => !(links as { to: string; state: string }[]).some((link) => link.to === id && link.state === 'up'),
        );
        if (down.length > 0) throw new Error(`not linked: ${down.join(', ')}: ${JSON.stringify(links)}`);
        return true;
      },
      { limitMs: 20_000, what: 'the links' },
    );
  }
}

// A real API over HTTP on port 0, with a store in a temporary folder and the rest of the server replaced by recorders.
import { randomBytes } from 'node:crypto';
import { onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { Sealer } from '../../lib/secrets/seal.ts';
import { createApiKey } from '../../server/access/api-keys.ts';
import { createApi } from '../../server/api/app.ts';
import type { ApiContext, ApiServices } from '../../server/api/context.ts';
import { listen } from '../../server/api/port/listen.ts';
import type { ApiRole } from '../../server/store/access/api-keys.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { openLiveTopology, type LiveTopology } from '../../server/topology/live.ts';
import { createMirrorClients } from '../../server/mirrors/clients.ts';
import { Mirrors } from '../../server/mirrors/mirrors.ts';
import { createRouteResolver } from '../../server/topology/route-resolver.ts';
import { stepHandlers, taskKinds } from '../../server/task-kinds.ts';
import '../support/answer-check.ts';
import { noUpgrades } from '../support/no-upgrades.ts';
import { tempDir } from '../support/temp.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown> & { code?: string; field?: string };
  readonly text: string;
}

interface Call {
  readonly key?: string | null;
  readonly body?: unknown;
  readonly raw?: string | Uint8Array | ReadableStream;
  readonly headers?: Record<string, string>;
}

export interface TestApi {
  readonly base: string;
  readonly store: Store;
  readonly topology: LiveTopology;
  readonly keys: Readonly<Record<ApiRole, string>>;
  readonly stop: AbortController;
  /** How often each service was called. */
  readonly calls: Map<string, number>;
  call(method: string, path: string, call?: Call): Promise<Answer>;
  /** Everything in the store that a rejected request could have changed, as text. */
  snapshot(): Promise<string>;
}

/** Starts an API; it stops with the test. */
export async function startApi(
  services: Partial<ApiServices> = {},
  server: Parameters<typeof createApi>[1] = {},
): Promise<TestApi> {
  const store = await openStore({ dataDir: await tempDir(), log: silentLogger() });
  const topology = await openLiveTopology(store);
  const stop = new AbortController();
  const calls = new Map<string, number>();
  const sealer = new Sealer(randomBytes(32));
  const steps = stepHandlers();
  const nowhere = () => Promise.resolve({ sources: [], downloadToken: '' });
  const context: ApiContext = {
    store,
    log: silentLogger(),
    sealer,
    steps,
    kinds: taskKinds({ ...noUpgrades, store, sealer, steps, findSources: nowhere }),
    services: recording(
      { topology, routes: createRouteResolver(topology), mirrors: noMirrors(topology), ...services },
      calls,
    ),
    nodeId: 'server-1',
    meshId: 'mesh-under-test',
    stopping: stop.signal,
  };
  const app = await createApi(context, server);
  const base = `http://${await listen(app, { host: '127.0.0.1', port: 0 })}`;
  onTestFinished(async () => {
    stop.abort();
    await app.close();
    await store.close();
  });
  const keys = await store.transaction(async (tx) => ({
    admin: await makeKey(tx, 'admin'),
    operator: await makeKey(tx, 'operator'),
    viewer: await makeKey(tx, 'viewer'),
  }));
  return {
    base,
    store,
    topology,
    keys,
    stop,
    calls,
    call: (method, path, call = {}) => send(base, method, path, { key: keys.admin, ...call }),
    snapshot: () => snapshot(store),
  };
}

/** Mirrors of which none answers. */
function noMirrors(topology: ApiServices['topology']): Mirrors {
  const clients = createMirrorClients(() => Promise.reject(new Error('no test calls a mirror here')));
  const sign = () => ({ body: Buffer.alloc(0) });
  return new Mirrors({ topology, clients, routesOf: () => Promise.resolve([]), sign });
}

async function makeKey(tx: Parameters<typeof createApiKey>[0], role: ApiRole): Promise<string> {
  const { key } = await createApiKey(tx, { name: role, role }, { actor: 'system', role: 'admin' });
  return key;
}

async function send(base: string, method: string, path: string, { key, body, raw, headers }: Call): Promise<Answer> {
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const answer = await fetch(base + path, {
    method,
    headers: {
      ...(key === null || key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(payload === undefined ? {} : { body: payload as string, duplex: 'half' }),
  });
  const text = await answer.text();
  const json = /json/.test(answer.headers.get('content-type') ?? '') && text !== '';
  return {
    status: answer.status,
    headers: answer.headers,
    text,
    body: json ? (JSON.parse(text) as Answer['body']) : {},
  };
}

/** Services of which only the given ones work. Each counts its calls. */
function recording(given: Partial<ApiServices>, calls: Map<string, number>): ApiServices {
  return new Proxy({ wake: () => undefined, ...given } as ApiServices, {
    get(target, name: string) {
      const found: unknown = Reflect.get(target, name);
      if (name === 'topology' || name === 'routes' || name === 'mirrors') return found;
      return (...parameters: unknown[]) => {
        calls.set(name, (calls.get(name) ?? 0) + 1);
        if (typeof found !== 'function') throw new Error(`the test gave no ${name}`);
        return Reflect.apply(found, target, parameters) as unknown;
      };
    },
  });
}

async function snapshot(store: Store): Promise<string> {
  const page = { limit: 500 };
  const projects = await store.projects.list(page);
  const inProjects = projects.items.map(async ({ id }) => [
    await store.variables.list(id, page),
    await store.releases.list(id, page),
  ]);
  return JSON.stringify([
    await store.events.list({ limit: 500 }),
    await Promise.all(inProjects),
    await store.sites.list(page),
    await store.environments.list(page),
    await store.apiKeys.list(page),
    await store.tokens.list(page),
    await store.nodes.all(),
    await store.machines.select({}),
    projects,
    await store.packages.list(page),
    await store.tasks.list({}, page),
  ]);
}

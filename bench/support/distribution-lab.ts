// The network of the distribution bench: a server, a long line to a site, and a second one to a site behind it.
//
//   hub ══wan══ edge (relay, mirror) ── m1 … mN
//                ╚═══wan-inner═══ inner (relay, mirror) ── i1 … i4
//
// A mirror is on the host of its relay, as a rival's cache is.
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lab, type LineShape } from '../../test/lab/support/lab.ts';
import { run } from '../../test/lab/support/run.ts';
import { World, type NodePlan } from '../../test/support/world.ts';

const MESH_PORT = 8444;
const FEED_PORT = 8445;
const LISTEN = `0.0.0.0:${MESH_PORT}`;
const PROJECT = 'bench';
const PACKAGE = 'bench-body';
const ROLE = 'web';
const MIB = 1024 * 1024;
/** In a package's folder: one large file and what an application has beside it. */
const SMALL_FILES = 100;

/** Environments are how the bench names machines. */
export const ENVIRONMENTS = { four: 4, others: 4, all: 16, inner: 4 } as const;
export type EnvironmentId = keyof typeof ENVIRONMENTS;

export interface DistributionPlan {
  readonly shape: LineShape;
  /** Machines at the edge: 8, or 16. */
  readonly machines: number;
  readonly inner: boolean;
}

export interface Archive {
  readonly path: string;
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

function environmentsOf(index: number): EnvironmentId[] {
  return [...(index < 4 ? ['four' as const] : index < 8 ? ['others' as const] : []), 'all'];
}

export class DistributionLab {
  readonly folder: string;
  readonly lab: Lab;
  readonly edgeMachines: readonly string[];
  readonly #world: World;
  #made = 0;

  private constructor(folder: string, lab: Lab, world: World, edgeMachines: readonly string[]) {
    this.folder = folder;
    this.lab = lab;
    this.#world = world;
    this.edgeMachines = edgeMachines;
  }

  static async up(plan: DistributionPlan): Promise<DistributionLab> {
    const folder = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
    const edge = Array.from({ length: plan.machines }, (_, index) => `m${index + 1}`);
    const inner = plan.inner ? ['i1', 'i2', 'i3', 'i4'] : [];
    const { shape } = plan;
    let lab: Lab | undefined;
    let world: World | undefined;
    try {
      lab = await Lab.up({
        lans: { 'lan-edge': ['edge', ...edge], ...(plan.inner ? { 'lan-inner': ['inner', ...inner] } : {}) },
        lines: {
          wan: { between: ['hub', 'edge'], shape },
          ...(plan.inner ? { 'wan-inner': { between: ['edge', 'inner'], shape } } : {}),
        },
      });
      const server = { meshListen: LISTEN, apiListen: '127.0.0.1:8443', spawner: lab.spawner('hub'), bridged: true };
      world = await World.up({ folder, ...server });
      await populate(world, lab, { edge, inner });
      await makeProject(world);
      return new DistributionLab(folder, lab, world, edge);
    } catch (thrown) {
      await world?.stop();
      await lab?.down();
      await rm(folder, { recursive: true, force: true });
      throw thrown;
    }
  }

  /** A tar.gz that cannot be compressed further; its bytes are new. */
  async pack(bytes: number): Promise<Archive> {
    this.#made += 1;
    const content = join(this.folder, 'pack');
    await mkdir(join(content, 'small'), { recursive: true });
    await writeRandom(join(content, 'body.bin'), bytes);
    for (let file = 0; file < SMALL_FILES; file += 1) await writeFile(join(content, 'small', `${file}`), `${file}\n`);
    const name = `package-${this.#made}.tar.gz`;
    const path = join(this.folder, 'origin', name);
    await mkdir(join(this.folder, 'origin'), { recursive: true, mode: 0o755 });
    await run('tar', ['-C', content, '-I', 'gzip -1', '-cf', path, '.']);
    await rm(content, { recursive: true });
    const sha256 = (await run('sha256sum', [path])).slice(0, 64);
    return { path, name, bytes: Number(await run('stat', ['-c', '%s', path])), sha256 };
  }

  /** Pushes an archive and makes a release of it; returns the release's version. */
  async release(archive: Archive): Promise<string> {
    const version = `1.0.${this.#made}`;
    const headers = { 'content-type': 'application/octet-stream' };
    const { api } = this.#world;
    const body = await readFile(archive.path);
    await api.request('POST', `packages?id=${PACKAGE}&version=${version}&format=tar.gz`, body, headers);
    await api.post(`projects/${PROJECT}/releases`, { version });
    return version;
  }

  /** Seconds from the request to the end of the deployment, by the server's own time of its end. */
  async deploy(release: string, environment: EnvironmentId): Promise<number> {
    const { api } = this.#world;
    const began = Date.now();
    const { id } = await api.post<{ id: string }>('deployments', { project: PROJECT, release, environment });
    const task = await api.ended(id);
    if (task.state !== 'succeeded') throw new Error(`the deployment failed: ${JSON.stringify(task)}`);
    return ((task.endedAt ?? 0) - began) / 1000;
  }

  /** Bytes that the long line has carried, in both directions. */
  async lineBytes(): Promise<number> {
    const { forward, backward } = await this.lab.bytes('wan');
    return forward + backward;
  }

  /** The logs of every process, for a run that failed. */
  autopsy(): Promise<string> {
    return this.#world.autopsy();
  }

  async down(): Promise<void> {
    await this.#world.stop();
    await this.lab.down();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Sites, environments and nodes; each node joins from its own host. */
async function populate(
  world: World,
  lab: Lab,
  machines: { readonly edge: readonly string[]; readonly inner: readonly string[] },
): Promise<void> {
  const hasInner = machines.inner.length > 0;
  const sites = hasInner ? ['edge', 'inner'] : ['edge'];
  for (const id of sites) await world.api.post('sites', { id, name: id });
  for (const id of Object.keys(ENVIRONMENTS)) await world.api.post('environments', { id, name: id });
  const at = (host: string, network: string): string => `${lab.address(host, network)}:${MESH_PORT}`;
  const relay = (id: string, parent: string, line: string): NodePlan => {
    const parentAddress = at(parent === 'server' ? 'hub' : parent, line);
    return { id, role: 'relay', site: id, parent, parentAddress, listen: LISTEN, spawner: lab.spawner(id) };
  };
  const leaf = (id: string, site: string, role: 'mirror' | 'tentacle', host: string): NodePlan => {
    return { id, role, site, parent: site, parentAddress: at(site, `lan-${site}`), spawner: lab.spawner(host) };
  };
  const mirror = (site: string): NodePlan => {
    const settings = ['--feed-listen', `${lab.address(site, `lan-${site}`)}:${FEED_PORT}`];
    return { ...leaf(`mirror-${site}`, site, 'mirror', site), settings };
  };
  const tentacle = (id: string, site: string, via: string[], environments: EnvironmentId[]): NodePlan => {
    const machine = { environments, targetRoles: [ROLE], routes: [{ kind: 'path', via }] };
    return { ...leaf(id, site, 'tentacle', id), machine };
  };
  await world.add(relay('edge', 'server', 'wan'));
  await world.linked();
  if (hasInner) await world.add(relay('inner', 'edge', 'wan-inner'));
  await world.linked();
  await Promise.all([
    ...sites.map((site) => world.add(mirror(site))),
    ...machines.edge.map((id, index) => world.add(tentacle(id, 'edge', ['edge'], environmentsOf(index)))),
    ...machines.inner.map((id) => world.add(tentacle(id, 'inner', ['edge', 'inner'], ['inner']))),
  ]);
  await world.linked();
}

async function makeProject({ api }: World): Promise<void> {
  await api.post('projects', { id: PROJECT, name: PROJECT });
  const steps = [{ name: 'body', kind: 'package', targetRoles: [ROLE], package: { id: PACKAGE } }];
  await api.put(`projects/${PROJECT}/process`, { steps }, `projects/${PROJECT}`);
}

async function writeRandom(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (let left = bytes; left > 0; left -= MIB) await file.write(randomBytes(Math.min(left, MIB)));
  } finally {
    await file.close();
  }
}

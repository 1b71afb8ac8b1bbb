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
import { waitFor } from '../../test/support/wait.ts';
import { World, type NodePlan } from '../../test/support/world.ts';
import { processorTimeMs } from './processor-time.ts';

const MESH_PORT = 8444;
const FEED_PORT = 8445;
const LISTEN = `0.0.0.0:${MESH_PORT}`;
const ROLE = 'web';
const MIB = 1024 * 1024;
/** In a package's folder: one large file and what an application has beside it. */
const SMALL_FILES = 100;
const CHANGED_STRETCHES = 20;
/** A node that takes less processor time than this in half a second rests. */
const RESTING_MS = 100;

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
  /** The project whose package it is. */
  readonly project: string;
  readonly version: number;
  readonly path: string;
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface Release {
  readonly project: string;
  readonly release: string;
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
      return new DistributionLab(folder, lab, world, edge);
    } catch (thrown) {
      await world?.stop();
      await lab?.down();
      await rm(folder, { recursive: true, force: true });
      throw thrown;
    }
  }

  /** A tar.gz that cannot be compressed further, of a project of its own: nobody has anything like it. */
  async pack(bytes: number): Promise<Archive> {
    this.#made += 1;
    const project = `bench-${this.#made}`;
    const content = this.#contentOf(project);
    await mkdir(join(content, 'small'), { recursive: true });
    await writeRandom(join(content, 'body.bin'), bytes);
    for (let file = 0; file < SMALL_FILES; file += 1) await writeFile(join(content, 'small', `${file}`), `${file}\n`);
    return this.#archive(project, 1);
  }

  /** The next version, in which a part of the bytes is new: some stretches of the large file. */
  async change({ project, version }: Archive, part: number): Promise<Archive> {
    const file = await open(join(this.#contentOf(project), 'body.bin'), 'r+');
    try {
      const { size } = await file.stat();
      const stretch = Math.round((size * part) / CHANGED_STRETCHES);
      for (let each = 0; each < CHANGED_STRETCHES; each += 1) {
        await file.write(randomBytes(stretch), 0, stretch, Math.floor((each * size) / CHANGED_STRETCHES));
      }
    } finally {
      await file.close();
    }
    return this.#archive(project, version + 1);
  }

  #contentOf(project: string): string {
    return join(this.folder, 'content', project);
  }

  async #archive(project: string, version: number): Promise<Archive> {
    const name = `${project}-${version}.tar.gz`;
    const path = join(this.folder, 'origin', name);
    await mkdir(join(this.folder, 'origin'), { recursive: true, mode: 0o755 });
    await run('tar', ['-C', this.#contentOf(project), '-I', 'gzip -1n', '-cf', path, '.']);
    const sha256 = (await run('sha256sum', [path])).slice(0, 64);
    return { project, version, path, name, bytes: Number(await run('stat', ['-c', '%s', path])), sha256 };
  }

  /** Removes the archive and what it was made of. */
  async remove({ project, path }: Archive): Promise<void> {
    await rm(path, { force: true });
    await rm(this.#contentOf(project), { recursive: true, force: true });
  }

  /** Pushes an archive, makes a release of it, and waits until the server rests: it examines what was pushed. */
  async release({ project, version, path }: Archive): Promise<Release> {
    const { api } = this.#world;
    if (version === 1) {
      await api.post('projects', { id: project, name: project });
      const steps = [{ name: 'body', kind: 'package', targetRoles: [ROLE], package: { id: project } }];
      await api.put(`projects/${project}/process`, { steps }, `projects/${project}`);
    }
    const headers = { 'content-type': 'application/octet-stream' };
    const named = `id=${project}&version=1.0.${version}&format=tar.gz`;
    await api.request('POST', `packages?${named}`, await readFile(path), headers);
    await api.post(`projects/${project}/releases`, { version: `1.0.${version}` });
    await this.#rested('server');
    return { project, release: `1.0.${version}` };
  }

  async #rested(node: string): Promise<void> {
    const pid = this.#world.pid(node);
    let before = -Infinity;
    await waitFor(
      () => {
        const now = processorTimeMs([pid]).own;
        const rests = now - before < RESTING_MS;
        before = now;
        return rests;
      },
      { limitMs: 120_000, everyMs: 500, what: `rest of ${node}` },
    );
  }

  /** Seconds from the request to the end of the deployment, by the server's own time of its end. */
  async deploy(release: Release, environment: EnvironmentId): Promise<number> {
    const { api } = this.#world;
    const began = Date.now();
    const { id } = await api.post<{ id: string }>('deployments', { ...release, environment });
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

async function writeRandom(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (let left = bytes; left > 0; left -= MIB) await file.write(randomBytes(Math.min(left, MIB)));
  } finally {
    await file.close();
  }
}

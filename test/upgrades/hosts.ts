// Hosts below folders of this machine: their software is the sources of this tree under other version numbers, their
// upgrader the real one in this process, and in place of systemd the test starts and stops their nodes.
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createPublicKey, type KeyObject } from 'node:crypto';
import { filesBelow, sumsOf } from '../../build/package/files.ts';
import { signSums } from '../../certs/release-keys.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { JoinRole } from '../../contract/join-tokens.ts';
import { hostLayout, type HostLayout } from '../../host/layout.ts';
import { readStatus } from '../../host/status.ts';
import type { HostServices } from '../../host/versions/services.ts';
import { upgrade } from '../../host/versions/upgrade.ts';
import { pause } from '../../lib/async/waiting.ts';
import { run } from '../lab/support/run.ts';
import { onThisMachine, type Spawner } from '../support/spawner.ts';
import type { World } from '../support/world.ts';

const root = join(import.meta.dirname, '../..');
const SOURCES = [
  'certs',
  'cli',
  'contract',
  'host',
  'lib',
  'mesh',
  'mirror',
  'node',
  'proto',
  'relay',
  'server',
  'tentacle',
];

const TIMES = { pollMs: 50, steadyMs: 200 };
const whenStopped = 'leave';

export interface Software {
  readonly version: string;
  /** With SHA256SUMS and its signature beside it. */
  readonly tarball: string;
  readonly name: string;
  readonly sums: string;
  readonly signature: Buffer;
}

/** Builds the sources as a version; `fault` is put before its command line. */
export async function buildSoftware(
  folder: string,
  { version, key, fault = '' }: { readonly version: string; readonly key: KeyObject; readonly fault?: string },
): Promise<Software> {
  const top = `isthmus-${version}-linux-${process.arch}`;
  const tree = join(folder, top);
  for (const source of SOURCES) {
    await cp(join(root, source), join(tree, source), { recursive: true, filter: (path) => !path.endsWith('.test.ts') });
  }
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as object;
  await writeFile(join(tree, 'package.json'), JSON.stringify({ ...manifest, version }));
  const main = join(tree, 'cli/main.ts');
  await writeFile(main, `${fault}\n${await readFile(main, 'utf8')}`);
  const facts = { version, platform: 'linux', architecture: process.arch, node: '', schema: '0001-start', commit: '' };
  await writeFile(join(tree, 'version.json'), JSON.stringify(facts));
  await writeFile(join(tree, 'SHA256SUMS'), await sumsOf(tree, await filesBelow(tree)));
  const name = `${top}.tar.gz`;
  await run('tar', ['-C', folder, '-I', 'gzip -1', '-cf', join(folder, name), top]);
  const sums = await sumsOf(folder, [name]);
  return { version, tarball: join(folder, name), name, sums, signature: signSums(sums, key) };
}

/** One host with one node. */
export class NodeHost {
  readonly layout: HostLayout;
  readonly #role: JoinRole;
  readonly #id: string;
  readonly #stopping = new AbortController();
  #watching: Promise<void> | undefined;
  /** How often its node was started again. */
  restarts = 0;

  private constructor(layout: HostLayout, role: JoinRole, id: string) {
    [this.layout, this.#role, this.#id] = [layout, role, id];
  }

  /** Installs a version below a folder of its own; the node's data folder in `world` is that of its service. */
  static async install(
    world: World,
    id: string,
    role: JoinRole,
    software: Software,
    key: KeyObject,
  ): Promise<NodeHost> {
    const layout = hostLayout(`${world.dataDir(id)}.host`);
    for (const folder of [layout.versions, layout.releaseKeys, layout.units, layout.dataDir(role)])
      await mkdir(folder, { recursive: true, mode: 0o755 });
    await run('tar', ['-xzf', software.tarball, '-C', layout.versions]);
    const unpacked = join(layout.versions, software.name.replace(/\.tar\.gz$/, ''));
    await run('mv', [unpacked, join(layout.versions, software.version)]);
    for (const link of [layout.current, layout.knownGood]) await symlink(software.version, link);
    // Where its software finds what it depends on.
    await symlink(join(root, 'node_modules'), join(layout.root, 'node_modules'));
    await symlink(layout.dataDir(role), world.dataDir(id));
    await writeFile(join(layout.units, 'isthmus-upgrade.path'), '');
    const pem = createPublicKey(key).export({ type: 'spki', format: 'pem' });
    await writeFile(join(layout.releaseKeys, 'builder.pub'), pem);
    return new NodeHost(layout, role, id);
  }

  /** Starts what the host has installed, in place of this tree. */
  get spawner(): Spawner {
    return (command, [program = '', ...words], options) => {
      const installed = join(this.layout.current, 'cli/main.ts');
      return onThisMachine(command, [words.includes('start') ? installed : program, ...words], options);
    };
  }

  /** Carries out orders as soon as they come, as the units of the upgrader do, until it is stopped. */
  watch(world: World): void {
    this.#watching = this.#carryOut(world);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#watching;
  }

  async #carryOut(world: World): Promise<void> {
    const { signal } = this.#stopping;
    const onProblem = (error: IsthmusError): void => {
      throw error;
    };
    const services = this.#services(world);
    const onProgress = () => undefined;
    const host = { layout: this.layout, services, times: TIMES, signal, whenStopped, onProblem, onProgress } as const;
    const order = join(this.layout.dataDir(this.#role), 'upgrade/order.json');
    while (!signal.aborted) {
      if (existsSync(order)) await upgrade(host, () => undefined);
      await pause(50, signal);
    }
  }

  #services(world: World): HostServices {
    const [role, id, layout] = [this.#role, this.#id, this.layout];
    return {
      active: () => Promise.resolve([role]),
      reload: () => Promise.resolve(),
      restart: async () => {
        this.restarts += 1;
        await world.terminate(id);
        await world.start(id).catch((cause: unknown) => {
          throw new IsthmusError('UPGRADE_START_FAILED', 'it ended at once', { cause });
        });
      },
      stop: () => world.terminate(id),
      state: () =>
        Promise.resolve({ pid: world.pid(id), crashes: 0, hasFailed: false, status: readStatus(layout.dataDir(role)) }),
      lastError: () => Promise.resolve(undefined),
    };
  }
}

// Which releases a tentacle keeps: `previous` is the last one whose step succeeded, and the last three that succeeded
// stay on disk, whatever failed since and however often.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { newId } from '../../lib/ids.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { connectSource } from '../../node/sources/connect.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import { createPackages, type Packages } from '../../tentacle/packages/packages.ts';
import { createTestMesh, type TestMesh, type TestNode } from '../support/identities.ts';
import { noMesh } from '../support/no-mesh.ts';
import { tempDir } from '../support/temp.ts';
import { tarGz } from './craft.ts';
import { NO_FILE_RULES, NOWHERE_ELSE } from './orders.ts';
import { startOrigin } from './origin.ts';

const installation = { project: 'shop', environment: 'prod', step: 'web' };
const MAJORS = [1, 2, 3, 4, 5] as const;
type Major = (typeof MAJORS)[number];
/** How far a deployment comes: its pre-deploy script fails, its post-deploy script fails, or all of it succeeds. */
type Outcome = 'pre fails' | 'post fails' | 'succeeds';

let mesh: TestMesh;
let self: TestNode;
beforeAll(async () => {
  const removals: (() => void)[] = [];
  mesh = await createTestMesh('test-mesh', (remove) => removals.push(remove));
  self = await mesh.node('tentacle-1', 'tentacle');
  return () => removals.forEach((remove) => remove());
});

async function open(dataDir: string, hasOpenScript: (task: string) => boolean): Promise<Packages> {
  const access = { mesh: noMesh(), identity: self.identity, revocations: self.revocations, loopback: true };
  return createPackages({
    ...{ dataDir, onWrongSource: () => undefined, log: silentLogger(), hasOpenScript },
    ...NOWHERE_ELSE,
    connect: (source, signal) => connectSource(source, access, signal),
  });
}

interface Machine {
  /** Deploys a release; with `restarts` the agent is restarted before each action, which is then sent twice. */
  deploy(major: Major, outcome: Outcome, restarts?: boolean): Promise<{ readonly task: string }>;
  /** The version that a link leads to. */
  version(link: 'current' | 'previous'): Promise<string | undefined>;
  /** The versions of all releases on disk, in order. */
  versions(): Promise<string[]>;
}

/** A machine that has every package in its cache. */
async function machine(hasOpenScript: (task: string) => boolean = () => false): Promise<Machine> {
  const dataDir = await tempDir();
  const folder = join(dataDir, 'applications', 'shop', 'prod', 'web');
  let packages = await open(dataDir, hasOpenScript);
  onTestFinished(() => packages.stop());
  const orders = new Map<Major, PackagePayload__Output>();
  for (const major of MAJORS) {
    const bytes = tarGz([{ name: 'version', content: `${major}.0.0` }]);
    const { node, url } = await startOrigin(mesh, 'near', bytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const order: PackagePayload__Output = {
      package: { id: 'web', version: `${major}.0.0`, sha256, sizeBytes: bytes.length, format: 'tar.gz' },
      ...{ installation, downloadToken: 'p', substitute: [], variables: {}, sensitiveNames: [], ...NO_FILE_RULES },
      sources: [{ node, path: [], url, upstream: null, pushed: false }],
    };
    orders.set(major, order);
  }
  return {
    async deploy(major, outcome, restarts = false) {
      const task = newId();
      const order = orders.get(major)!;
      await packages.acquire(order, task, { onProgress: () => undefined, signal: new AbortController().signal });
      const actions = ['stage', 'activate', 'settle'] as const;
      for (const action of actions.slice(0, { 'pre fails': 1, 'post fails': 2, succeeds: 3 }[outcome])) {
        if (restarts) {
          await packages.stop();
          packages = await open(dataDir, hasOpenScript);
          await packages[action](order, task);
        }
        await packages[action](order, task);
      }
      return { task };
    },
    version: (link) => readFile(join(folder, link, 'version'), 'utf8').catch(() => undefined),
    async versions() {
      const names = await readdir(join(folder, 'releases'));
      return names.flatMap((name) => /^(.*?)-.*\.json$/.exec(name)?.[1] ?? []).sort();
    },
  };
}

it('a retry that fails again and again leaves what serves on disk, as the previous release', async () => {
  const at = await machine();
  await at.deploy(1, 'succeeds');
  for (let retry = 0; retry < 4; retry += 1) {
    await at.deploy(2, 'post fails');
    expect([await at.version('current'), await at.version('previous')]).toEqual(['2.0.0', '1.0.0']);
  }
  await at.deploy(2, 'succeeds');
  expect([await at.version('current'), await at.version('previous')]).toEqual(['2.0.0', '1.0.0']);
  expect(await at.versions()).toEqual(['1.0.0', '2.0.0']);
});

it('the same version again changes nothing about what is kept', async () => {
  const at = await machine();
  for (const major of [1, 2, 3, 4] as const) await at.deploy(major, 'succeeds');
  expect(await at.versions()).toEqual(['2.0.0', '3.0.0', '4.0.0']);
  for (let again = 0; again < 3; again += 1) {
    await at.deploy(4, 'succeeds');
    expect(await at.versions()).toEqual(['2.0.0', '3.0.0', '4.0.0']);
    expect(await at.version('previous')).toBe('3.0.0');
  }
  // Until the new folder has proven itself, the one of the same version that did is the previous release.
  await at.deploy(4, 'post fails');
  expect(await at.version('previous')).toBe('4.0.0');
  await at.deploy(3, 'succeeds');
  expect([await at.version('current'), await at.version('previous')]).toEqual(['3.0.0', '4.0.0']);
});

it('the first release has no previous one, even if it failed', async () => {
  const at = await machine();
  await at.deploy(1, 'post fails');
  await at.deploy(2, 'post fails');
  expect([await at.version('current'), await at.version('previous')]).toEqual(['2.0.0', undefined]);
  await at.deploy(3, 'succeeds');
  expect([await at.version('current'), await at.version('previous')]).toEqual(['3.0.0', undefined]);
  expect(await at.versions()).toEqual(['3.0.0']);
});

it('keeps the release in which a script runs, whatever is deployed meanwhile', async () => {
  const running = new Set<string>();
  const at = await machine((task) => running.has(task));
  const { task } = await at.deploy(1, 'post fails');
  running.add(task);
  for (const major of [2, 3, 4, 5] as const) await at.deploy(major, 'succeeds');
  expect(await at.versions()).toEqual(['1.0.0', '3.0.0', '4.0.0', '5.0.0']);
  running.clear();
  await at.deploy(5, 'succeeds');
  expect(await at.versions()).toEqual(['3.0.0', '4.0.0', '5.0.0']);
});

it('keeps the last three that succeeded, in any history, also with restarts and repeated orders', async () => {
  const deployment = fc.record({
    major: fc.constantFrom(...MAJORS),
    outcome: fc.constantFrom<Outcome>('pre fails', 'post fails', 'succeeds'),
    restarts: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(deployment, { minLength: 4, maxLength: 8 }), async (history) => {
      const at = await machine();
      let good: string[] = [];
      for (const { major, outcome, restarts } of history) {
        const version = `${major}.0.0`;
        const previous = await at.version('previous');
        await at.deploy(major, outcome, restarts);
        if (outcome === 'succeeds') good = [version, ...good.filter((one) => one !== version)].slice(0, 3);
        const onDisk = await at.versions();
        for (const one of good) expect(onDisk).toContain(one);
        if (outcome === 'succeeds') expect(onDisk).toEqual([...good].sort());
        // What serves, what was deployed now, and the good ones.
        expect(onDisk.length).toBeLessThanOrEqual(good.length + 2);
        if (outcome !== 'pre fails') expect(await at.version('current')).toBe(version);
        expect(await at.version('previous')).toBe(
          { 'pre fails': previous, 'post fails': good[0], succeeds: good[1] }[outcome],
        );
      }
    }),
    { numRuns: 8 },
  );
});

// One machine in two environments, with real processes: each environment has an installation of its own, scripts run in
// the release of their own deployment, and what serves is never removed by deployments that fail.
import { appendFile, mkdir, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { tarGz } from '../packages/craft.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { freePort, World } from '../support/world.ts';

interface Shop {
  readonly world: World;
  readonly folder: string;
  /** Changes the package step of the process, and makes a release of it. */
  change(version: string, step: object): Promise<void>;
  /** Scripts wait until this file exists. */
  readonly go: string;
  /** While this file exists, post-deploy scripts fail. */
  readonly broken: string;
  /** The folder of an environment's installation. */
  installation(environment: string): string;
  deploy(version: string, environment: string): Promise<string>;
  /** What a task's scripts printed. */
  printed(task: string): Promise<string[]>;
}

async function shop(): Promise<Shop> {
  const folder = await tempDir();
  const meshListen = `127.0.0.1:${await freePort()}`;
  const world = await World.up({ folder, meshListen, apiListen: `127.0.0.1:${await freePort()}` });
  onTestFinished(() => world.stop());
  const { api } = world;
  await api.post('sites', { id: 'eu' });
  for (const id of ['test', 'prod']) await api.post('environments', { id });
  const machine = { environments: ['test', 'prod'], targetRoles: ['web'] };
  await world.add({
    ...{ id: 'web-1', role: 'tentacle', site: 'eu', parent: 'server', parentAddress: meshListen, machine },
  });
  await world.linked();
  const [go, broken] = [join(folder, 'go'), join(folder, 'broken')];
  const tell = (stage: string) => `echo "${stage} of $ISTHMUS_RELEASE finds $(cat version)"`;
  const bash = (body: string) => ({ interpreter: 'bash', body });
  const step = {
    ...{ name: 'web', kind: 'package', targetRoles: ['web'], package: { id: 'shop.web' } },
    preDeploy: bash(`until [ -e '${go}' ]; do sleep 0.05; done; ${tell('pre')}`),
    postDeploy: bash(`${tell('post')}; [ ! -e '${broken}' ]`),
  };
  const setProcess = async (version: number, more = {}) =>
    api.request('PUT', 'projects/shop/process', { steps: [{ ...step, ...more }] }, { 'if-match': `"${version}"` });
  await setProcess((await api.post<{ version: number }>('projects', { id: 'shop' })).version);
  for (const major of [1, 2, 3]) {
    const bytes = tarGz([{ name: 'version', content: `${major}.0.0` }]);
    const type = { 'content-type': 'application/octet-stream' };
    await api.request('POST', `packages?id=shop.web&version=${major}.0.0&format=tar.gz`, bytes, type);
    await api.post('projects/shop/releases', { version: `${major}.0.0` });
  }
  return {
    ...{ world, folder, go, broken },
    async change(version, more) {
      await setProcess((await api.get<{ version: number }>('projects/shop')).version, more);
      await api.post('projects/shop/releases', { version });
    },
    installation: (environment) => join(world.dataDir('web-1'), 'applications', 'shop', environment, 'web'),
    async deploy(release, environment) {
      return (await api.post<{ id: string }>('deployments', { project: 'shop', release, environment })).id;
    },
    async printed(task) {
      return (await api.stream(task)).filter(({ kind }) => kind === 'log').map(({ text }) => text);
    },
  };
}

const versionAt = (installation: string, link: string) => readFile(join(installation, link, 'version'), 'utf8');

it('keeps two environments of one machine apart, and what serves through deployments that fail', async () => {
  const { world, go, broken, installation, deploy, printed } = await shop();
  const { api } = world;
  const test = await deploy('1.0.0', 'test');
  const prod = await deploy('2.0.0', 'prod');
  // Both have staged before the first script goes on.
  const staged = async (environment: string) => {
    const names = await readdir(join(installation(environment), 'releases')).catch(() => []);
    return names.some((name) => name.endsWith('.json'));
  };
  await waitFor(async () => (await staged('test')) && (await staged('prod')), { limitMs: 60_000 });
  await writeFile(go, '');
  for (const [task, version] of [[test, '1.0.0'], [prod, '2.0.0']] as const) {
    expect(await api.ended(task)).toMatchObject({ state: 'succeeded' });
    expect(await printed(task)).toEqual(['pre', 'post'].map((stage) => `${stage} of ${version} finds ${version}`));
  } // prettier-ignore
  expect(await versionAt(installation('test'), 'current')).toBe('1.0.0');
  expect(await versionAt(installation('prod'), 'current')).toBe('2.0.0');

  const serving = await realpath(join(installation('test'), 'current'));
  await writeFile(broken, '');
  let failed = await deploy('3.0.0', 'test');
  for (let retry = 0; retry < 2; retry += 1) {
    expect(await api.ended(failed)).toMatchObject({ state: 'failed' });
    failed = (await api.post<{ id: string }>(`tasks/${failed}/retry`, {})).id;
  }
  expect(await api.ended(failed)).toMatchObject({ state: 'failed' });
  expect(await realpath(join(installation('test'), 'previous'))).toBe(serving);
  await rm(broken);
  const mended = await api.post<{ id: string }>(`tasks/${failed}/retry`, {});
  expect(await api.ended(mended.id)).toMatchObject({ state: 'succeeded' });
  expect(await versionAt(installation('test'), 'current')).toBe('3.0.0');
  expect(await realpath(join(installation('test'), 'previous'))).toBe(serving);
  expect(await versionAt(installation('prod'), 'current')).toBe('2.0.0');
}, 120_000);

it('installs to the roots of its config.yaml only, and says which folder it leaves', async () => {
  const { world, folder, go, change, deploy } = await shop();
  const { api } = world;
  await writeFile(go, '');
  const root = join(folder, 'srv');
  await mkdir(root);
  const run = async (version: string, installTo?: string) => {
    await change(version, installTo === undefined ? {} : { installTo });
    const task = await deploy(version, 'prod');
    const { state } = await api.ended(task);
    return { state, warnings: (await api.stream(task)).filter(({ level }) => level === 'warning') };
  };
  expect(await run('4.0.0', join(root, 'a'))).toMatchObject({ state: 'failed' });
  expect(await readdir(root)).toEqual([]);
  await world.signal('web-1', 'SIGKILL');
  await appendFile(join(world.dataDir('web-1'), 'config.yaml'), `installRoots: [${root}]\n`);
  await world.start('web-1');
  await world.linked(['web-1']);
  expect(await run('5.0.0', join(root, 'a'))).toEqual({ state: 'succeeded', warnings: [] });
  expect(await readFile(join(root, 'a', 'version'), 'utf8')).toBe('3.0.0');
  for (const [version, installTo, left] of [['6.0.0', 'b', 'a'], ['7.0.0', undefined, 'b']] as const) {
    const { state, warnings } = await run(version, installTo && join(root, installTo));
    expect(state).toBe('succeeded');
    expect(warnings).toMatchObject([{ machine: 'web-1', text: expect.stringContaining(join(root, left)) as string }]);
    expect(await readFile(join(root, left, 'version'), 'utf8')).toBe('3.0.0');
  } // prettier-ignore
  expect(await run('8.0.0')).toEqual({ state: 'succeeded', warnings: [] });
}, 120_000);

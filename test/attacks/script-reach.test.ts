// The script of a package tries to read what belongs to the agent and to other scripts: the key, the environment, the
// memory, other workspaces. With --script-user the system denies all of it. Without it the attempts succeed, which
// proves that they are real and that the agent warns with reason.
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { tarGz } from '../packages/craft.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { freePort, World } from '../support/world.ts';

const canary = 'canary-of-the-environment-of-the-agent';
const machines = ['isolated', 'open'] as const;

/** A mesh of two machines, of which one runs scripts as another user. */
async function world(): Promise<World> {
  const folder = await tempDir();
  // The script user must get to the workspaces below, and to nothing else in the folders above them.
  await chmod(folder, 0o711);
  process.env['ISTHMUS_TEST_CANARY'] = canary;
  onTestFinished(() => {
    delete process.env['ISTHMUS_TEST_CANARY'];
  });
  const meshListen = `127.0.0.1:${await freePort()}`;
  const built = await World.up({ folder, meshListen, apiListen: `127.0.0.1:${await freePort()}` });
  onTestFinished(() => built.stop());
  await built.api.post('sites', { id: 'eu' });
  await built.api.post('environments', { id: 'prod' });
  const node = { role: 'tentacle', site: 'eu', parent: 'server', parentAddress: meshListen } as const;
  const machine = { environments: ['prod'], targetRoles: ['web'] };
  await built.add({ id: 'isolated', ...node, machine, settings: ['--script-user', 'nobody'] });
  await built.add({ id: 'open', ...node, machine });
  await built.linked();
  return built;
}

/** Deploys a package whose script is `body` to both machines; returns the task. */
async function deploy({ api }: World, body: string): Promise<string> {
  const bytes = tarGz([{ name: 'reach.sh', content: body }]);
  const type = { 'content-type': 'application/octet-stream' };
  await api.request('POST', 'packages?id=evil&version=1.0.0&format=tar.gz', bytes, type);
  const { version } = await api.post<{ version: number }>('projects', { id: 'evil' });
  const postDeploy = { interpreter: 'bash', body: '. ./reach.sh' };
  const step = { name: 'web', kind: 'package', targetRoles: ['web'], package: { id: 'evil' }, postDeploy };
  await api.request('PUT', 'projects/evil/process', { steps: [step] }, { 'if-match': `"${version}"` });
  await api.post('projects/evil/releases', { version: '1.0.0' });
  const order = { project: 'evil', release: '1.0.0', environment: 'prod' };
  return (await api.post<{ id: string }>('deployments', order)).id;
}

/** The targets on a machine: every file of its agent except the packages, and its process. */
async function treasuresOf(world: World, machine: string): Promise<string[]> {
  const dataDir = world.dataDir(machine);
  const entries = await readdir(dataDir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const agent = `/proc/${world.pid(machine)}`;
  return [
    ...files.filter((path) => !path.startsWith(join(dataDir, 'applications'))),
    `${agent}/environ`,
    `${agent}/maps`,
  ];
}

it.skipIf(lacks('linux', 'root'))(
  'a package’s script reaches nothing of the agent, nor of other scripts',
  async () => {
    const built = await world();
    const { api } = built;
    const shared = await tempDir();
    await chmod(shared, 0o777);
    const deployment = await deploy(
      built,
      `env; echo "waiting $ISTHMUS_MACHINE"
    for i in {1..600}; do [ -e '${shared}/go' ] && break; sleep 0.1; done
    while read -r path; do [ "$path" != "$0" ] && cat "$path" > /dev/null 2>&1 && echo "reached $path"; done < '${shared}/'$ISTHMUS_MACHINE
    ls '${built.dataDir('')}/'$ISTHMUS_MACHINE/tickets > /dev/null 2>&1 && echo 'listed workspaces'
    cat /proc/$PPID/environ /proc/$PPID/maps > /dev/null 2>&1 && echo 'reached the parent'
    kill -0 $PPID 2> /dev/null && echo 'may signal the parent'
    grep -aqs ${canary.slice(0, -1)}[t] "$(tail -n 2 '${shared}/'$ISTHMUS_MACHINE | head -n 1)" && echo 'reached the canary'
    true`,
    );
    const printed = async (machine: string): Promise<string[]> =>
      (await api.stream(deployment))
        .filter((line) => line.kind === 'log' && line.machine === machine)
        .map(({ text }) => text);
    for (const machine of machines) {
      await waitFor(async () => (await printed(machine)).includes(`waiting ${machine}`), { limitMs: 60_000 });
    }
    // Other scripts wait at that time: their workspaces exist.
    for (const machine of machines) {
      const { id } = await api.post<{ id: string }>('scripts', { body: 'true', machines: [machine] });
      const tickets = join(built.dataDir(machine), 'tickets');
      await waitFor(async () => (await readdir(tickets)).length === 2, { what: `the workspace of ${id}` });
      await writeFile(join(shared, machine), `${(await treasuresOf(built, machine)).join('\n')}\n`, { mode: 0o644 });
    }
    await mkdir(join(shared, 'go'));
    expect(await api.ended(deployment)).toMatchObject({ state: 'succeeded' });
    const [isolated, open] = [await printed('isolated'), await printed('open')];
    const successes = (lines: readonly string[]) => lines.filter((line) => /^(reached|listed|may) /.test(line));
    expect(successes(isolated)).toEqual([]);
    // The tentacle warns of this when it does not isolate.
    const reached = successes(open).join('\n');
    for (const treasure of ['/identity/', '/seal.key', '/payload.sealed', '/environ', 'the parent', 'the canary']) {
      expect(reached).toContain(treasure);
    }
    expect(reached).toContain('listed workspaces');
    // In neither case does it get the agent's own environment.
    expect([...isolated, ...open].join('\n')).not.toContain(canary);
    expect(await built.log('open', Infinity)).toContain('SCRIPTS ARE NOT ISOLATED');
    expect(await built.log('isolated', Infinity)).not.toContain('SCRIPTS ARE NOT ISOLATED');
  },
  240_000,
);

// Runs the commands that `token create` prints, for a relay that dials out and a tentacle behind it. Only folder and port
// are changed, because all nodes are on one machine, which runs no service for them.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { componentEnv } from '../../lib/config/env.ts';
import { waitFor } from '../support/wait.ts';
import { freePort, World } from '../support/world.ts';

const bin = join(import.meta.dirname, '../../bin');
const run = promisify(execFile);

test('a relay that dials out and a tentacle behind it join with the printed commands', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-printed-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [meshPort, apiPort, relayPort] = [await freePort(), await freePort(), await freePort()];
  const world = await World.up({ folder, meshListen: `[::]:${meshPort}`, apiListen: `127.0.0.1:${apiPort}` });
  onTestFinished(() => world.stop());
  const env = componentEnv({ PATH: [bin, componentEnv({})['PATH'] ?? ''].join(delimiter) });
  const context = ['--context', join(folder, 'context/context.json')];

  /** Creates a token with the command line, runs the printed command, returns both outputs. */
  async function joinAsPrinted(id: string, words: string[]): Promise<{ command: string; output: string }> {
    const created = await run('isthmus', [...context, 'token', 'create', '--site', 'eu', '--name', id, ...words], {
      env,
    });
    const command = created.stdout.slice(created.stdout.indexOf('\n\n') + 2);
    expect(command).not.toMatch(/[<]host|--address '?(0\.0\.0\.0|\[::\])/);
    const here = command.replace('--service', `--data ${world.dataDir(id)}`);
    const { stdout, stderr } = await run('sh', ['-c', here], { env });
    return { command, output: stdout + stderr };
  }

  await world.api.post('sites', { id: 'eu' });
  // What the machines behind it dial is not the address that it would find out itself.
  const inside = `[::1]:${relayPort}`;
  const relay = await joinAsPrinted('eu', ['--role', 'relay', '--address', inside]);
  expect(relay.command).toContain(`--listen '[::]:${relayPort}'`);
  await world.startJoined({ id: 'eu', role: 'relay', site: 'eu', parent: 'server' });
  await world.linked(['eu']);
  await waitFor(async () => (await world.api.get<{ lastSeenAt: number | null }>('nodes/eu')).lastSeenAt !== null, {
    what: "the relay's report",
  });

  const tentacle = await joinAsPrinted('web-1', ['--role', 'tentacle', '--parent', 'eu']);
  expect(tentacle.command).toContain(`--address '${inside}' `);
  expect(tentacle.output).toContain('SCRIPTS ARE NOT ISOLATED');
  expect(tentacle.output).toContain('--script-user');
  expect(await readFile(join(world.dataDir('web-1'), 'config.yaml'), 'utf8')).toContain('node: eu');
  await world.startJoined({ id: 'web-1', role: 'tentacle', site: 'eu', parent: 'eu' });
  await world.linked(['eu', 'web-1']);
}, 180_000);

test('init takes the address that nodes dial, shows it, and writes it down', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-printed-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const words = ['init', '--data', join(folder, 'server'), '--mesh-address', 'mesh.example:8444'];
  const { stdout } = await run(join(bin, 'isthmus'), ['--context', join(folder, 'context/context.json'), ...words]);
  expect(stdout).toContain('mesh.example:8444');
  expect(await readFile(join(folder, 'server/config.yaml'), 'utf8')).toContain('address: mesh.example:8444');
  await expect(
    run(join(bin, 'isthmus'), ['init', '--data', join(folder, 'other'), '--mesh-address', 'no port']),
  ).rejects.toMatchObject({ stderr: expect.stringContaining('INVALID_FIELD') as string });
});

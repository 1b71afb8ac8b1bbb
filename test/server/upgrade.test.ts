// An upgrade as docs/operations.md has it: a mesh of the version before, from its own real tree, whose parts are
// replaced one by one, server first, while a script runs. Data folders, keys, certificates and the script are taken
// over as they are.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lacks } from '../support/needs.ts';
import { unpackPreviousTree } from '../support/previous-tree.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { freePort } from '../support/world.ts';

const thisTree = join(import.meta.dirname, '../..');

type Role = 'server' | 'relay' | 'tentacle';

/** The parts of a mesh on this machine, each run from whatever tree it was started with last. */
class Installation {
  readonly #folder: string;
  readonly #running = new Map<Role, { readonly child: ChildProcess; readonly exited: Promise<unknown> }>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  data(role: Role): string {
    return join(this.#folder, role);
  }

  #spawn(tree: string, words: readonly string[]): ChildProcess {
    const context = ['--context', join(this.#folder, 'context/context.json')];
    const command = [join(tree, 'cli/main.ts'), ...context, '-o', 'json', ...words];
    return spawn(process.execPath, command, { stdio: ['pipe', 'pipe', 'pipe'] });
  }

  /** Runs a command to its end; answers what it says as JSON, or as text where it is not. */
  async run<Said>(tree: string, words: readonly string[], input = ''): Promise<Said> {
    const child = this.#spawn(tree, words);
    const [output, errors] = [text(child.stdout!), text(child.stderr!)];
    child.stdin!.end(input);
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}: ${await errors}${await output}`);
    return JSON.parse(await output) as Said;
  }

  async start(tree: string, role: Role): Promise<void> {
    const child = this.#spawn(tree, [role, 'start', '--data', this.data(role), '--stop-with-stdin']);
    const errors = text(child.stderr!);
    const exited = once(child, 'exit');
    this.#running.set(role, { child, exited });
    const lines = createInterface({ input: child.stdout! });
    const started = await Promise.race([once(lines, 'line').then(() => true), exited.then(() => false)]);
    if (!started) throw new Error(`the ${role} did not start: ${await errors}`);
  }

  async stop(role: Role): Promise<void> {
    const { child, exited } = this.#running.get(role)!;
    child.stdin!.end();
    await exited;
    this.#running.delete(role);
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((role) => this.stop(role)));
  }
}

/** Makes a token with the command line of `tree`, joins with it, and starts the node. */
async function add(
  mesh: Installation,
  tree: string,
  role: Role,
  how: { readonly token: readonly string[]; readonly join: readonly string[] },
): Promise<void> {
  const words = ['token', 'create', '--role', role, '--site', 'eu', ...how.token];
  const { token, pin } = await mesh.run<{ token: string; pin: string }>(tree, words);
  const joining = ['join', '--data', mesh.data(role), '--pin', pin, '--token-file', '-', ...how.join];
  await mesh.run(tree, joining, `${token}\n`);
  await mesh.start(tree, role);
}

describe.skipIf(lacks('history'))('an upgrade from the version before', () => {
  it('takes everything over, server first, while a script runs', async () => {
    const folder = await tempDir();
    const old = await tempDir();
    await unpackPreviousTree(old);
    const mesh = new Installation(folder);
    onTestFinished(() => mesh.stopAll());
    const [meshPort, apiPort, relayPort] = [await freePort(), await freePort(), await freePort()];
    const listen = ['--mesh-listen', `127.0.0.1:${meshPort}`, '--api-listen', `127.0.0.1:${apiPort}`];
    await mesh.run(old, ['init', '--data', mesh.data('server'), ...listen]);
    await mesh.start(old, 'server');
    await mesh.run(old, ['site', 'create', 'eu']);
    await mesh.run(old, ['environment', 'create', 'production']);
    await add(mesh, old, 'relay', {
      token: ['--name', 'eu'],
      join: ['--address', `127.0.0.1:${meshPort}`, '--listen', `127.0.0.1:${relayPort}`],
    });
    await add(mesh, old, 'tentacle', {
      token: ['--name', 'web-1', '--parent', 'eu', '--environment', 'production', '--target-role', 'web'],
      join: ['--address', `127.0.0.1:${relayPort}`],
    });

    const process = join(folder, 'process.yaml');
    const script = '{ interpreter: bash, body: \'echo "$ISTHMUS_MACHINE has $ISTHMUS_RELEASE and $PASSWORD"\' }';
    await writeFile(process, `steps: [{ name: report, kind: script, targetRoles: [web], script: ${script} }]`);
    await mesh.run(old, ['project', 'create', 'hello', '--process', process]);
    const secret = ['project', 'variables', 'set', 'hello', 'Password', '--sensitive', '--file', '-'];
    await mesh.run(old, secret, 'correct horse');
    await mesh.run(old, ['release', 'create', 'hello', '1.0.0']);
    const deploys = async (tree: string): Promise<void> => {
      const words = ['deploy', 'hello', '1.0.0', '--to', 'production'];
      const { id } = await mesh.run<{ id: string }>(tree, words);
      const task = await endOf(tree, id);
      expect(task.state).toBe('succeeded');
      expect(await linesOf(tree, id)).toEqual(['web-1 has 1.0.0 and ********']);
    };
    const endOf = (tree: string, id: string): Promise<{ state: string }> =>
      waitFor(
        async () => {
          const task = await mesh.run<{ state: string; endedAt: number | null }>(tree, ['task', 'show', id]);
          return task.endedAt === null ? undefined : task;
        },
        { limitMs: 60_000, everyMs: 200, what: `task ${id}` },
      );
    const linesOf = async (tree: string, id: string): Promise<string[]> => {
      const lines = await mesh.run<{ text: string }[]>(tree, ['task', 'log', id]);
      return lines.map((line) => line.text);
    };
    await deploys(old);

    const [witness, go] = [join(folder, 'witness'), join(folder, 'go')];
    // Ends also with the test's folder, whatever becomes of the test.
    const waits = `while [ -e ${witness} ] && ! [ -e ${go} ]; do sleep 0.1; done`;
    const body = `echo $$ >> ${witness}; seq 1 100; ${waits}; seq 101 200`;
    const run = ['script', 'run', '--file', '-', '--role', 'web', '--isolation', 'shared', '--no-follow'];
    const { id } = await mesh.run<{ id: string }>(old, run, body);
    await waitFor(async () => (await linesOf(old, id)).length === 100, { limitMs: 30_000, what: 'the first lines' });

    for (const role of ['server', 'relay', 'tentacle'] as const) {
      await mesh.stop(role);
      await mesh.start(thisTree, role);
      // By old parts and new ones.
      if (role !== 'tentacle') await runsBeside(role);
    }
    await writeFile(go, '');
    expect(await endOf(thisTree, id)).toMatchObject({ state: 'succeeded' });
    expect(await linesOf(thisTree, id)).toEqual(Array.from({ length: 200 }, (_, index) => String(index + 1)));
    expect((await readFile(witness, 'utf8')).trim().split('\n')).toHaveLength(1);
    await deploys(thisTree);

    async function runsBeside(role: Role): Promise<void> {
      const beside = await mesh.run<{ id: string }>(thisTree, run, `echo after ${role}`);
      expect(await endOf(thisTree, beside.id)).toMatchObject({ state: 'succeeded' });
      expect(await linesOf(thisTree, beside.id)).toEqual([`after ${role}`]);
    }
  }, 180_000);
});

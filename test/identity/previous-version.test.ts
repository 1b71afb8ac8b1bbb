// A node of the wire version before this one joins: its real tree, out of the repository's history. It knows one
// parent, by the field of the answer that later versions have several of, and says nothing of wire versions but its
// own.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/log.ts';
import { joinNode } from '../../node/join/join.ts';
import { start as startRelay } from '../../relay/start.ts';
import { startControlPlane, type ControlPlane } from '../support/control-plane.ts';
import { lacks } from '../support/needs.ts';
import { unpackPreviousTree } from '../support/previous-tree.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { freePort } from '../support/world.ts';

const limitMs = 30_000;

describe.skipIf(lacks('history'))('a node of the wire version before', () => {
  let tree: string;
  let main: string;

  beforeAll(async () => {
    tree = await mkdtemp(join(tmpdir(), 'isthmus-previous-'));
    await unpackPreviousTree(tree);
    main = join(tree, 'cli/main.ts');
  });

  afterAll(() => rm(tree, { recursive: true, force: true }));

  /** Joins with the old command, and starts the old part; answers what it wrote as its settings. */
  async function joinAndStart(server: ControlPlane, token: string, way: readonly string[]): Promise<string> {
    const folder = await tempDir();
    const [file, dataDir] = [join(folder, 'token'), join(folder, 'node')];
    await writeFile(file, token);
    const words = [main, 'join', '--data', dataDir, '--pin', server.pin, '--token-file', file, ...way];
    await promisify(execFile)(process.execPath, words);
    const started = [main, 'tentacle', 'start', '--data', dataDir];
    const process_ = spawn(process.execPath, started, { stdio: ['ignore', 'ignore', 'inherit'] });
    const exited = once(process_, 'exit');
    onTestFinished(async () => {
      process_.kill();
      await exited;
    });
    return readFile(join(dataDir, 'config.yaml'), 'utf8');
  }

  /** A relay of this version, which has joined and runs. */
  async function relay(server: ControlPlane): Promise<string> {
    const [dataDir, listen] = [join(await tempDir(), 'eu'), `127.0.0.1:${await freePort()}`];
    const { token } = await server.token({ role: 'relay', name: 'eu' });
    await joinNode({ dataDir, pin: server.pin, token, listen, addresses: [server.address] });
    const parents = [{ node: 'server-1', address: server.address }];
    const running = await startRelay({ dataDir, listen, parents }, { log: silentLogger() });
    onTestFinished(() => running.stop());
    return listen;
  }

  /** It has joined, and its own reports come up from where it is. */
  async function expectMember(server: ControlPlane, parents: readonly object[]): Promise<void> {
    const node = await waitFor(
      async () => {
        const found = await server.store.nodes.find('old-1');
        return found?.lastSeenAt === null ? undefined : found;
      },
      { limitMs, what: 'its report' },
    );
    expect(node).toMatchObject({ state: 'active', role: 'tentacle', parents });
    expect((await server.events('node.joined')).map(({ subject }) => subject)).toContain('old-1');
    expect(await server.events('enrol.refused')).toEqual([]);
  }

  it('joins below the server', async () => {
    const server = await startControlPlane();
    const { token } = await server.token({ name: 'old-1' });
    const config = await joinAndStart(server, token, ['--address', server.address]);
    expect(config).toBe(`parents:\n  - node: server-1\n    address: ${server.address}\n`);
    await expectMember(server, [{ node: 'server', dialAddress: null }]);
  }, 60_000);

  it('joins below a relay', async () => {
    const server = await startControlPlane();
    const address = await relay(server);
    const { token } = await server.token({ name: 'old-1', parent: 'eu' });
    const config = await joinAndStart(server, token, ['--address', address]);
    expect(config).toBe(`parents:\n  - node: eu\n    address: ${address}\n`);
    await expectMember(server, [{ node: 'eu', dialAddress: null }]);
  }, 60_000);

  it('joins where the relay dials it', async () => {
    const server = await startControlPlane();
    await relay(server);
    const listen = `127.0.0.1:${await freePort()}`;
    const { token } = await server.token({ name: 'old-1', parent: 'eu', dialAddress: listen });
    const config = await joinAndStart(server, token, ['--listen', listen]);
    expect(config).toBe(`listen: ${listen}\nparents:\n  - node: eu\n`);
    await expectMember(server, [{ node: 'eu', dialAddress: listen }]);
  }, 60_000);
});

// A key made on the server's own machine, for who has none left: beside the running server and while it is stopped.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { initialise } from '../../server/operations/initialise.ts';
import { start } from '../../server/start.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { isthmus } from '../support/terminal.ts';

/** The data folder of a server, and a way to start it, which returns the URL of its API. */
async function makeServer() {
  const dataDir = join(await tempDir(), 'server');
  const listen = { meshListen: '127.0.0.1:0', apiListen: '127.0.0.1:0' };
  await initialise({ dataDir, ...listen });
  return {
    dataDir,
    async start() {
      const config = { dataDir, mesh: { listen: '127.0.0.1:0' }, api: { listen: '127.0.0.1:0' } };
      const server = await start(config, { log: silentLogger() });
      onTestFinished(() => server.stop());
      return server.addresses.apiUrl;
    },
  };
}

const asked = (dataDir: string, ...more: readonly string[]) =>
  isthmus(['key', 'create', '--data', dataDir, '--name', 'rescue', '--role', 'admin', ...more]);

describe('key create --data', () => {
  it.each(['running', 'stopped'])('creates an admin key for a %s server', async (state) => {
    const server = await makeServer();
    const file = join(await tempDir(), 'rescue.key');
    let url = state === 'running' ? await server.start() : undefined;
    expect(await asked(server.dataDir, '--out', file)).toMatchObject({ code: 0, err: '' });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    url ??= await server.start();
    const at = ['--server', url, '--api-key-file', file, '--output', 'json'];
    const { code, out } = await isthmus([...at, 'key', 'list']);
    expect(code).toBe(0);
    expect((JSON.parse(out) as { name: string }[]).map(({ name }) => name).toSorted()).toEqual(['admin', 'rescue']);
    const { out: events } = await isthmus([...at, 'events']);
    const { id } = (JSON.parse(out) as { id: string; name: string }[]).find(({ name }) => name === 'rescue')!;
    expect(JSON.parse(events)).toContainEqual(
      expect.objectContaining({ type: 'api-key.created', subject: id, actor: 'system' }),
    );
  });

  it('says which folder holds no server', async () => {
    const folder = await tempDir();
    const { code, err } = await asked(folder);
    expect(code).toBe(9);
    expect(err).toContain(`there is no server in ${folder} (NOT_INITIALISED)`);
  });

  it.skipIf(lacks('root'))('is not for another account, whether the server runs or not', async () => {
    const server = await makeServer();
    const before = await readFile(join(server.dataDir, 'admin.key'), 'utf8');
    const asNobody = () => {
      process.seteuid!(65_534);
      return asked(server.dataDir).finally(() => process.seteuid!(0));
    };
    expect(await asNobody()).toMatchObject({ code: 9, err: expect.stringContaining('may not be read') as string });
    await server.start();
    expect(await asNobody()).toMatchObject({ code: 9, err: expect.stringContaining('may not be read') as string });
    expect(await readFile(join(server.dataDir, 'admin.key'), 'utf8')).toBe(before);
  });
});

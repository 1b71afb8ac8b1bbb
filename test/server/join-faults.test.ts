// Faults during a join, with real processes: a wrong clock, a folder that cannot be written, a server that is down
// behind the relay. Each has its code and, where there is one, its hop; nothing is written, nothing changes at the
// server, and the node joins with the same token once the fault is gone.
import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lacks } from '../support/needs.ts';
import { smallDisk } from '../support/small-disk.ts';
import { isthmus } from '../support/terminal.ts';
import { freePort, World, type CreatedToken } from '../support/world.ts';

const main = join(import.meta.dirname, '../../cli/main.ts');

describe('a join', () => {
  let folder: string;
  let world: World;
  let addresses: { readonly server: string; readonly eu: string };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-join-faults-'));
    const port = async () => `127.0.0.1:${await freePort()}`;
    addresses = { server: await port(), eu: await port() };
    world = await World.up({ folder, meshListen: addresses.server, apiListen: await port() });
    await world.api.post('sites', { id: 'eu' });
    const relay = { id: 'eu', role: 'relay', site: 'eu', parent: 'server', parentAddress: addresses.server } as const;
    await world.add({ ...relay, listen: addresses.eu });
    await world.linked();
  });

  afterAll(async () => {
    await world.stop();
    await rm(folder, { recursive: true, force: true });
  });

  interface Attempt {
    readonly words: readonly string[];
    readonly dataDir: string;
  }

  /** A token for a machine behind the relay, and the words of a join with it. */
  async function token(name: string): Promise<Attempt & { readonly id: string }> {
    const ask = { role: 'tentacle', site: 'eu', name, parents: [{ node: 'eu' }] };
    const made = await world.api.post<CreatedToken & { id: string }>('tokens', ask);
    const [file, dataDir] = [join(folder, `${name}.token`), join(folder, name)];
    await writeFile(file, made.token);
    const words = ['join', '--address', addresses.eu, '--pin', made.pin, '--token-file', file];
    return { id: made.id, words, dataDir };
  }

  /** Checks that the attempt left nothing at the server: no node, no event, an unbound token. */
  async function expectUntouched({ id }: { id: string }, name: string): Promise<void> {
    const { items: tokens } = await world.api.get<{ items: { id: string; usedAt: number | null }[] }>('tokens');
    expect(tokens.find((each) => each.id === id)).toMatchObject({ usedAt: null, usedBy: null });
    const { items: nodes } = await world.api.get<{ items: { id: string }[] }>('nodes');
    expect(nodes.map((each) => each.id)).not.toContain(name);
    for (const subject of [id, name]) {
      const { items } = await world.api.get<{ items: { type: string }[] }>(`events?subject=${subject}&limit=500`);
      expect(items.map(({ type }) => type)).toEqual(subject === id ? ['token.created'] : []);
    }
  }

  async function joins({ words, dataDir }: Attempt): Promise<void> {
    const { code, err } = await isthmus([...words, '--data', dataDir]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
  }

  it.skipIf(lacks('faketime')).each(['+1h', '-1h'])(
    'with a clock that is %s off ends at the clock',
    async (offset) => {
      const name = `clock-${offset === '+1h' ? 'fast' : 'slow'}`;
      const made = await token(name);
      // The steps of time are real: only the day is wrong.
      const env = { ...process.env, FAKETIME_DONT_FAKE_MONOTONIC: '1' };
      const words = ['-f', offset, process.execPath, main, ...made.words, '--data', made.dataDir];
      const ended = await new Promise<{ code: unknown; err: string }>((resolve) => {
        execFile('faketime', words, { env }, (error, _out, err) => resolve({ code: error?.code ?? 0, err }));
      });
      expect(ended.code).toBe(6);
      expect(ended.err).toMatch(/the server says \d{4}-.*Z, this machine \d{4}-.*Z.*CLOCK_SKEW/);
      expect(existsSync(made.dataDir)).toBe(false);
      await expectUntouched(made, name);
      await joins(made);
    },
    60_000,
  );

  it.skipIf(lacks('root'))('into a folder that cannot be written ends before it has asked anybody', async () => {
    const made = await token('read-only');
    const disk = await smallDisk(1);
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    const file = join(folder, 'a-file');
    await writeFile(file, 'mine');
    for (const dataDir of [disk, join(disk, 'deep/node'), '/proc/nowhere/node', file, join(file, 'node')]) {
      const { code, out, err } = await isthmus([...made.words, '--data', dataDir]);
      expect({ dataDir, code, out }).toEqual({
        dataDir,
        code: 9,
        out: '  failed   DATA_DIR_UNUSABLE; nothing was changed here\n',
      });
      expect(err).toContain('(DATA_DIR_UNUSABLE)');
    }
    expect(await readdir(disk)).toEqual([]);
    await expectUntouched(made, 'read-only');
    await joins(made);
  });

  it.skipIf(lacks('root'))('onto a disk that is full ends with the token free again', async () => {
    const made = await token('full-disk');
    const disk = await smallDisk(1);
    await writeFile(join(disk, 'full'), Buffer.alloc(2 * 1024 * 1024)).catch(() => undefined);
    const { code, err } = await isthmus([...made.words, '--data', join(disk, 'node')]);
    expect({ code, err }).toMatchObject({ code: 9, err: expect.stringContaining('(DISK_FULL)') as string });
    expect(await readdir(disk)).toEqual(['full']);
    await joins(made);
  });

  it('through a relay whose server is down says where it ends, and works once it is up', async () => {
    const made = await token('behind');
    await world.signal('server', 'SIGKILL');
    const { code, out, err } = await isthmus([...made.words, '--data', made.dataDir]);
    expect(code).toBe(3);
    // The relay answered; it is the hop that the error names.
    expect(out).toMatch(/ok {7}tcp .*\n.*ok {7}proxy .*\n {2}failed {3}pin /);
    expect(err).toContain('eu has no live link to a parent (UNREACHABLE at eu)');
    expect(existsSync(made.dataDir)).toBe(false);
    await world.start('server');
    await world.linked();
    await expectUntouched(made, 'behind');
    await joins(made);
  });
});

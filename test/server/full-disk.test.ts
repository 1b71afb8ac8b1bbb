// A server with a full disk: a change fails as a whole with its code, accepted changes are kept, and the server goes on
// by itself once there is room.
import { execFileSync } from 'node:child_process';
import { rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { freePort, World } from '../support/world.ts';

const mebibyte = 1024 * 1024;

describe.skipIf(lacks('root', 'linux'))('a server on a full disk', () => {
  it('fails changes as a whole, still reads, and accepts changes once there is room, also after a kill', async () => {
    const folder = await tempDir();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', folder]);
    onTestFinished(() => {
      execFileSync('umount', ['--lazy', folder]);
    });
    const port = async () => `127.0.0.1:${await freePort()}`;
    const world = await World.up({ folder, meshListen: await port(), apiListen: await port() });
    onTestFinished(() => world.stop());
    const { api } = world;
    const filler = join(folder, 'filler');
    const { bavail, bsize } = await statfs(folder);
    await writeFile(filler, Buffer.alloc(bavail * bsize - mebibyte));

    const made: string[] = [];
    const make = async (id: string): Promise<void> => {
      await api.post('sites', { id, description: 'x'.repeat(2_000) });
      made.push(id);
    };
    const fillUp = async (): Promise<void> => {
      for (let i = 0; i < 500; i += 1) await make(`site-${i}`);
    };
    await expect(fillUp()).rejects.toThrow('DISK_FULL');
    const sites = async () => (await api.get<{ items: { id: string }[] }>('sites?limit=500')).items.map(({ id }) => id);
    expect(made.length).toBeGreaterThan(0);
    expect((await sites()).toSorted()).toEqual(made.toSorted());
    await expect(api.post('sites', { id: 'one-more' })).rejects.toThrow('DISK_FULL');

    await rm(filler);
    await make('with-room');
    await world.signal('server', 'SIGKILL');
    await world.start('server');
    expect((await sites()).toSorted()).toEqual(made.toSorted());
    const { items: events } = await api.get<{ items: { subject: string }[] }>('events?type=site.created&limit=500');
    expect(events.map(({ subject }) => subject).toSorted()).toEqual(made.toSorted());
  });
});

// The machines themselves, on which the other tests of this folder rely: what they reach, what a power cut leaves, and
// what a driver that is killed leaves.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { run } from '../lab/support/run.ts';
import { isAlive } from '../support/alive.ts';
import { waitFor } from '../support/wait.ts';
import { Estate } from './support/estate.ts';
import { cannotBoot } from './support/needs.ts';

describe.skipIf(cannotBoot())('machines', () => {
  let estate: Estate;
  beforeAll(async () => {
    estate = await Estate.up(inject('base'), ['server', 'eu', 'web-1']);
  });
  afterAll(() => estate?.down());

  test('only the relay reaches both sides, by the names that the pages use', async () => {
    const reach = async (from: string, name: string): Promise<number> =>
      (await estate.machine(from).attempt(`timeout 5 bash -c 'exec 3<>/dev/tcp/${name}/22' 2>&1 | grep -q Connection`))
        .exitCode;
    expect(await reach('web-1', 'relay.eu.internal')).toBe(0);
    expect(await reach('server', 'relay.eu.example')).toBe(0);
    expect(await reach('eu', 'isthmus.example')).toBe(0);
    expect(await reach('web-1', 'isthmus.example')).toBe(1);
    expect(await reach('web-1', 'relay.eu.example')).toBe(1);
    expect(await reach('server', 'relay.eu.internal')).toBe(1);
  });

  test('a power cut ends every process; the disk stays, and the machine boots from it', async () => {
    const machine = estate.machine('web-1');
    await machine.run('echo kept >/root/kept; echo lost >/run/lost; systemd-run --quiet sleep 1000');
    await machine.powerCut();
    expect((await machine.attempt('true')).exitCode).not.toBe(0);
    await machine.boot();
    expect(await machine.run('cat kept; ls /run/lost 2>/dev/null || echo gone; pgrep -c sleep || :')).toBe(
      'kept\ngone\n0\n',
    );
  });

  test('a driver that is killed leaves no process and no mount, and the next one removes its folders', async () => {
    const script = join(import.meta.dirname, 'support/doomed-driver.ts');
    const driver = spawn(process.execPath, [script, inject('base')], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(driver, 'exit');
    const lines = createInterface({ input: driver.stdout })[Symbol.asyncIterator]();
    const { value } = (await lines.next()) as { value: string };
    const { lab, init } = JSON.parse(value) as { lab: string; init: number };
    expect(isAlive(init)).toBe(true);
    driver.kill('SIGKILL');
    await exited;
    await waitFor(() => !isAlive(init), { what: 'the end of the machine' });
    await (await Estate.up(inject('base'), [])).down();
    const left = 'ls -d /run/netns/"$0"* /tmp/"$0"* /sys/fs/cgroup/*/"$0"* 2>/dev/null; grep "$0" /proc/mounts';
    expect(await run('sh', ['-c', `${left}; :`, lab])).toBe('');
  });
});

// Measures the lab itself: delay, rate, segregation and cuts, on which all other tests of the lab rely.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lacks } from '../support/needs.ts';
import { waitFor } from '../support/wait.ts';
import { Lab, removeOrphans } from './support/lab.ts';
import { run } from './support/run.ts';

const probe = join(import.meta.dirname, 'support/probe.ts');
const shape = { delayMs: 20, rateMbit: 50 };

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('the lab', () => {
  let lab: Lab;

  const ask = async <T>(host: string, ...args: string[]): Promise<T> =>
    JSON.parse(await lab.run(host, process.execPath, [probe, ...args])) as T;

  beforeAll(async () => {
    lab = await Lab.up({
      lans: { 'lan-a': ['relay', 'target1', 'target2'] },
      lines: { 'wan-a': { between: ['hub', 'relay'], shape } },
    });
    for (const host of ['hub', 'relay', 'target1']) {
      const server = lab.spawn(host, process.execPath, [probe, 'serve', '7000'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(server.stdout!, 'data');
    }
  });
  afterAll(() => lab?.down());

  test('neighbours reach each other, and targets have no path to the hub', async () => {
    const hub = lab.address('hub', 'wan-a');
    expect(await ask('relay', 'reach', hub, '7000')).toEqual({ result: 'open' });
    expect(await ask('target2', 'reach', lab.address('target1', 'lan-a'), '7000')).toEqual({ result: 'open' });
    expect(await ask('target1', 'reach', lab.address('relay', 'lan-a'), '7000')).toEqual({ result: 'open' });
    expect(await ask('target1', 'reach', hub, '7000')).toEqual({ result: 'ENETUNREACH' });
    expect(await ask('hub', 'reach', lab.address('target1', 'lan-a'), '7000')).toEqual({ result: 'ENETUNREACH' });
  });

  test('a target has no path to the hub even by a route through the relay host', async () => {
    const relay = lab.address('relay', 'lan-a');
    await lab.run('target2', 'ip', ['route', 'add', 'default', 'via', relay]);
    expect(await ask('target2', 'reach', lab.address('hub', 'wan-a'), '7000')).toEqual({ result: 'TIMEOUT' });
    await lab.run('target2', 'ip', ['route', 'del', 'default']);
  });

  test('the round trip is twice the delay', async () => {
    const { medianMs } = await ask<{ medianMs: number }>('relay', 'rtt', lab.address('hub', 'wan-a'), '7000');
    expect(medianMs).toBeGreaterThanOrEqual(40);
    expect(medianMs).toBeLessThan(50);
  });

  test('both directions carry the line’s rate, and the counters agree', async () => {
    const bytes = 12_000_000;
    for (const [from, to, direction] of [
      ['hub', 'relay', 'forward'],
      ['relay', 'hub', 'backward'],
    ] as const) {
      const before = await lab.bytes('wan-a');
      const sent = await ask<{ seconds: number; counted: number }>(
        from,
        'send',
        lab.address(to, 'wan-a'),
        '7000',
        String(bytes),
      );
      const carried = (await lab.bytes('wan-a'))[direction] - before[direction];
      expect(sent.counted).toBe(bytes);
      expect((bytes * 8) / sent.seconds / 1e6).toBeGreaterThan(shape.rateMbit * 0.75);
      expect((carried * 8) / sent.seconds / 1e6).toBeLessThan(shape.rateMbit * 1.03);
      expect(carried).toBeGreaterThan(bytes);
      expect(carried).toBeLessThan(bytes * 1.2);
    }
  });

  test('a cut line carries nothing, and a connection lives on when it heals', async () => {
    const hub = lab.address('hub', 'wan-a');
    const sending = lab.run('relay', process.execPath, [probe, 'send', hub, '7000', '4000000']);
    const before = (await lab.bytes('wan-a')).backward;
    await waitFor(async () => (await lab.bytes('wan-a')).backward > before + 100_000, {
      what: 'the transfer to begin',
    });
    await lab.cut('wan-a');
    const atCut = await lab.bytes('wan-a');
    expect(await ask('relay', 'reach', hub, '7000')).toEqual({ result: 'TIMEOUT' });
    expect(await lab.bytes('wan-a')).toMatchObject({ forward: atCut.forward, backward: atCut.backward });
    await lab.heal('wan-a');
    expect(JSON.parse(await sending)).toMatchObject({ counted: 4_000_000 });
  });

  test('half a cut stops one direction, and lets the other through', async () => {
    const hub = lab.address('hub', 'wan-a');
    for (const direction of ['forward', 'backward'] as const) {
      await lab.cut('wan-a', direction);
      const before = await lab.bytes('wan-a');
      expect(await ask('relay', 'reach', hub, '7000')).toEqual({ result: 'TIMEOUT' });
      const after = await lab.bytes('wan-a');
      expect(after[direction]).toBe(before[direction]);
      // The first packet goes backward: when that direction is cut, there is nothing to answer.
      expect(after.backward > before.backward).toBe(direction === 'forward');
      await lab.heal('wan-a');
    }
    expect(await ask('relay', 'reach', hub, '7000')).toEqual({ result: 'open' });
  });

  test('the shape can be changed while the line is up', async () => {
    await lab.shape('wan-a', { delayMs: 60, rateMbit: 50 });
    const { medianMs } = await ask<{ medianMs: number }>('relay', 'rtt', lab.address('hub', 'wan-a'), '7000');
    expect(medianMs).toBeGreaterThanOrEqual(120);
    await lab.shape('wan-a', shape);
  });

  test('the congestion control is a loss-based one, and the lab says which', async () => {
    expect(['cubic', 'reno']).toContain(lab.congestion);
    const inForce = await lab.run('hub', 'sysctl', ['-n', 'net.ipv4.tcp_congestion_control']);
    expect(inForce.trim()).toBe(lab.congestion);
  });

  test('a lab whose driver was killed is removed by the next', async () => {
    const script = `import { Lab } from ${JSON.stringify(join(import.meta.dirname, 'support/lab.ts'))};
      const lab = await Lab.up({ lans: {}, lines: { w: { between: ['x', 'y'], shape: { delayMs: 1, rateMbit: 10 } } } });
      lab.spawn('x', 'sleep', ['1000'], { stdio: 'ignore' });
      console.log('up'); setInterval(() => undefined, 1000);`;
    const driver = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(createInterface({ input: driver.stdout }), 'line');
    const exited = once(driver, 'exit');
    driver.kill('SIGKILL');
    await exited;
    const left = async (): Promise<string[]> =>
      (await run('ip', ['netns', 'list'])).split('\n').filter((row) => row.startsWith(`isthmus-lab-${driver.pid}-`));
    expect(await left()).toHaveLength(2);
    await removeOrphans();
    expect(await left()).toEqual([]);
    expect(await run('pgrep', ['-fc', '^sleep 1000$']).catch(() => '0')).toMatch(/^0/);
  });
});

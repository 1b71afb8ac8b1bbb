// A join token's secret is where it is needed and nowhere else: not in the output, arguments and environment of any
// command, not in the logs, the database or the folder of the node, whether the join succeeds or fails.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, it, onTestFinished, vi } from 'vitest';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { freePort, World } from '../support/world.ts';
import { foundBelow } from './memory-scan.ts';

const main = join(import.meta.dirname, '../../cli/main.ts');

interface Joined {
  readonly code: number | null;
  /** All its output, and all that others on the machine could see of it while it ran. */
  readonly seen: string;
}

async function runJoin(words: readonly string[], input: string): Promise<Joined> {
  const child = spawn(process.execPath, [main, 'join', ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
  const said = [text(child.stdout), text(child.stderr)];
  const exited = once(child, 'exit') as Promise<[number | null]>;
  child.stdin.on('error', () => undefined).end(input);
  const looks: string[] = [];
  while (child.exitCode === null && child.signalCode === null) {
    for (const file of ['cmdline', 'environ']) {
      looks.push(await readFile(`/proc/${child.pid}/${file}`, 'latin1').catch(() => ''));
    }
    await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, 100))]);
  }
  const [code] = await exited;
  return { code, seen: [...(await Promise.all(said)), ...looks].join('\n') };
}

it.skipIf(lacks('linux'))('is shown by nothing but the answer that made it', async () => {
  vi.stubEnv('ISTHMUS_LOG_LEVEL', 'debug');
  onTestFinished(() => void vi.unstubAllEnvs());
  const folder = await tempDir();
  const meshListen = `127.0.0.1:${await freePort()}`;
  const world = await World.up({ folder, meshListen, apiListen: `127.0.0.1:${await freePort()}` });
  onTestFinished(() => world.stop());
  await world.api.post('sites', { id: 'eu' });
  const asked = { role: 'tentacle', site: 'eu', name: 'web-1', parents: [{ node: 'server' }] };
  const made = await world.api.post<{ id: string; token: string; pin: string }>('tokens', asked);
  const secret = made.token.split('_').slice(2).join('_');
  expect(secret.length).toBeGreaterThan(20);

  const dataDir = world.dataDir('web-1');
  const words = (pin: string, address = meshListen) =>
    ['--data', dataDir, '--pin', pin, '--address', address, '--token-file', '-'] as const;
  const wrongPin = made.pin.replace(/^./, made.pin.startsWith('0') ? '1' : '0');
  const runs = [
    await runJoin(words(wrongPin), `${made.token}\n`),
    await runJoin(words(made.pin, `127.0.0.1:${await freePort()}`), `${made.token}\n`),
    await runJoin(words(made.pin), `${made.token}x\n`),
    await runJoin(words(made.pin), `${made.token}\n`),
    await runJoin(words(made.pin).with(1, world.dataDir('web-2')), `${made.token}\n`),
  ];
  expect(runs.map(({ code }) => code === 0)).toEqual([false, false, false, true, false]);
  for (const { seen } of runs) expect(seen).not.toContain(secret);

  const shown = await Promise.all(['tokens', 'events?limit=500', 'nodes'].map((path) => world.api.get(path)));
  expect(JSON.stringify(shown)).not.toContain(secret);
  const forms = new Map([
    ['as it is', Buffer.from(secret)],
    ['its bytes', Buffer.from(secret, 'base64url')],
  ]);
  expect(await foundBelow(folder, forms)).toEqual([]);
});

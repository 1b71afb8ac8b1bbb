// Runs the packaged tree as the image does, without an engine: as an unprivileged user on a read-only root, where only /data
// (here a folder of the test) and a small /tmp are writable.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../lab/support/run.ts';
import { lacks } from '../support/needs.ts';
import { unpackedTree } from '../support/package.ts';

const healthcheck = join(import.meta.dirname, '../../docker/healthcheck.mjs');
const user = 10001;

/** Mounts like the image, then drops every privilege and runs the command. $1 the tree, $2 data. */
const confine = `
  set -eu
  mount --make-rprivate /
  mount --bind "$2" /mnt
  mount --bind / /
  mount -o remount,bind,ro /
  tree=$1
  shift 2
  mount -t tmpfs -o size=64m,mode=1777 tmpfs /dev/shm
  cd "$tree"
  exec setpriv --reuid ${user} --regid ${user} --clear-groups --bounding-set=-all --no-new-privs \\
    env -i PATH=/usr/bin:/bin TMPDIR=/dev/shm XDG_CONFIG_HOME=/mnt/config "$@"
`;

describe.skipIf(lacks('root', 'namespaces', 'unshare', 'iproute'))('the image, without an engine', () => {
  let folder = '';
  let image = '';
  let data = '';

  const confined = (...command: string[]): [string, string[]] => [
    'unshare',
    ['--mount', 'sh', '-c', confine, 'confine', image, data, ...command],
  ];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-image-'));
    data = await mkdtemp(join(tmpdir(), 'isthmus-data-'));
    await chmod(folder, 0o755);
    await chown(data, user, user);
    image = await unpackedTree(folder);
  }, 180_000);

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await rm(data, { recursive: true, force: true });
  });

  test('the root is read-only, and the user has no privileges', async () => {
    const script =
      'id -u; touch "$PWD/x" 2>/dev/null && echo wrote; grep CapEff /proc/self/status; touch /mnt/x && rm /mnt/x';
    const said = await run(...confined('sh', '-c', script));
    expect(said).toBe(`${user}\nCapEff:\t0000000000000000\n`);
  });

  test('the command prints its version', async () => {
    expect(await run(...confined('bin/isthmus', '--version'))).toMatch(/^\S*\d+\.\d+\.\d+/);
  });

  test('a component that only dials is healthy while it is connected to another host', async () => {
    const look = async (address: string): Promise<string> => {
      const connected = `const n = require('net'); n.createServer().listen(7777, '0.0.0.0', () => n.connect(7777, '${address}'))`;
      const script = `ip link set lo up; ip address add 10.99.0.1/32 dev lo
        node -e "${connected}; setTimeout(process.exit, 60000)" & talker=$!
        until ss -Htn state established | grep -q 7777; do kill -0 $talker || exit; done
        node "$1" linked 2>/dev/null; echo "ended with $?"; kill $talker`;
      const words = ['--net', 'sh', '-uc', script, 'look', healthcheck];
      return run('unshare', words);
    };
    expect(await look('10.99.0.1')).toBe('ended with 0\n');
    expect(await look('127.0.0.1')).toBe('ended with 1\n');
  });

  test('a server starts on a fresh data folder, is healthy, and stops at a signal', async () => {
    const listen = ['--mesh-listen', '127.0.0.1:0', '--api-listen', '0.0.0.0:0'];
    await run(...confined('bin/isthmus', 'init', '--data', '/mnt/node', ...listen));
    const [command, args] = confined('bin/isthmus', 'server', 'start', '--data', '/mnt/node', '-o', 'json');
    const server: ChildProcessByStdio<null, Readable, null> = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(server, 'exit');
    try {
      const lines = createInterface({ input: server.stdout });
      const [line] = (await once(lines, 'line', { signal: AbortSignal.timeout(30_000) })) as [string];
      const { addresses } = JSON.parse(line) as { addresses: { apiUrl: string } };
      const url = `https://127.0.0.1:${new URL(addresses.apiUrl).port}/readyz`;
      await run(...confined('bin/node', 'docker/healthcheck.mjs', url));
      await expect(run(...confined('bin/node', 'docker/healthcheck.mjs', 'tcp://127.0.0.1:1'))).rejects.toThrow(
        'ECONNREFUSED',
      );
      lines.close();
    } finally {
      server.kill('SIGTERM');
    }
    expect(await exited).toEqual([0, null]);
  });
});

// The bare Debian root that machines boot from, made once by debootstrap and kept in the system's temporary folder.
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../lab/support/run.ts';

const suite = 'bookworm';
/** What a small server has besides the essential packages. `openssl` is there to check a signature before installing. */
const packages = ['systemd', 'systemd-sysv', 'dbus', 'iproute2', 'openssl', 'procps'];

/** The folder of the root; it takes a minute to make, and is never changed. */
export async function baseRoot(): Promise<string> {
  const digest = createHash('sha256')
    .update([suite, ...packages].join())
    .digest('hex')
    .slice(0, 16);
  const folder = join(tmpdir(), 'isthmus-install');
  const root = join(folder, `${suite}-${digest}`);
  if (existsSync(root)) return root;
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const fresh = `${root}.${process.pid}`;
  try {
    await run('debootstrap', ['--variant=minbase', `--include=${packages.join()}`, suite, fresh]);
    await run('rm', ['-rf', join(fresh, 'var/cache/apt'), join(fresh, 'var/lib/apt/lists')]);
    await rename(fresh, root);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  return root;
}

// What a test needs from the machine. A missing thing is said loudly and the test is skipped; where ISTHMUS_NO_SKIP is
// set (CI), a missing thing is a failure, so that a green run there is a whole run.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { PREVIOUS_COMMIT } from '../../build/previous-version.ts';

interface Need {
  readonly met: boolean;
  readonly missing: string;
}

function command(name: string, debianPackage: string, ...args: string[]): Need {
  const met = spawnSync(name, args.length > 0 ? args : ['--version'], { stdio: 'ignore' }).error === undefined;
  return { met, missing: `${name} (apt-get install ${debianPackage})` };
}

/** Things a test can need; each is looked for when asked. */
export const needs = {
  linux: (): Need => ({ met: process.platform === 'linux', missing: 'Linux' }),
  root: (): Need => ({ met: process.getuid?.() === 0, missing: 'root' }),
  faketime: (): Need => command('faketime', 'faketime'),
  strace: (): Need => command('strace', 'strace', '-V'),
  gcc: (): Need => command('gcc', 'gcc'),
  gcore: (): Need => command('gcore', 'gdb', '-v'),
  unshare: (): Need => command('unshare', 'util-linux'),
  tun: (): Need => ({ met: existsSync('/dev/net/tun'), missing: '/dev/net/tun' }),
  namespaces: (): Need => {
    const made = spawnSync('unshare', ['--net', 'true'], { stdio: 'ignore' });
    return { met: made.status === 0, missing: 'the right to make network namespaces' };
  },
  python3: (): Need => command('python3', 'python3-minimal'),
  openssl: (): Need => command('openssl', 'openssl', 'version'),
  setpriv: (): Need => command('setpriv', 'util-linux'),
  buildah: (): Need => command('buildah', 'buildah'),
  compose: (): Need => command('docker-compose', 'docker-compose', 'version'),
  shellcheck: (): Need => command('shellcheck', 'shellcheck'),
  debootstrap: (): Need => command('debootstrap', 'debootstrap'),
  nspawn: (): Need => command('systemd-nspawn', 'systemd-container'),
  systemdAnalyze: (): Need => command('systemd-analyze', 'systemd'),
  iproute: (): Need => command('ip', 'iproute2', '-V'),
  previousVersion: (): Need => {
    const looked = spawnSync('git', ['cat-file', '-e', PREVIOUS_COMMIT], { cwd: import.meta.dirname, stdio: 'ignore' });
    return { met: looked.status === 0, missing: `Git's history, with commit ${PREVIOUS_COMMIT}` };
  },
};

/**
 * For `describe.skipIf(lacks('root', 'strace'))`: whether something is missing, said on standard error. Throws instead
 * when ISTHMUS_NO_SKIP is set.
 */
export function lacks(...names: (keyof typeof needs)[]): boolean {
  const missing = names.map((name) => needs[name]()).filter((need) => !need.met);
  if (missing.length === 0) return false;
  const list = missing.map((need) => need.missing).join(', ');
  if ((process.env['ISTHMUS_NO_SKIP'] ?? '') !== '') throw new Error(`this run may skip nothing, and lacks ${list}`);
  process.stderr.write(`\nSKIPPED for lack of ${list}\n`);
  return true;
}

// The version of a machine with a real systemd: one that works, ones that do not, and a power cut in the middle.
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { builtPackage } from '../support/package.ts';
import { waitFor } from '../support/wait.ts';
import { Estate } from './support/estate.ts';
import type { Machine, Outcome } from './support/machine.ts';
import { cannotBoot } from './support/needs.ts';
import { asTyped } from './support/reader.ts';

/** Put at the begin of the program of a version, to make it one that does not work. */
const DEFECTS = {
  crashes: `if (process.argv[3] === 'start') {
    process.stderr.write('isthmus: nothing works here (CONFIG_INVALID)\\n');
    process.exit(9);
  }`,
  'never-connects': `if (process.argv[2] === 'relay' && process.argv[3] === 'start') {
    require('node:net').Socket.prototype.connect = function () {
      process.nextTick(() => this.destroy(Object.assign(new Error('no connection'), { code: 'ECONNREFUSED' })));
      return this;
    };
  }`,
} as const;

describe.skipIf(cannotBoot())('versions of a host', () => {
  let estate: Estate;
  let machine: Machine;
  let name: string;
  beforeAll(async () => {
    const built = await builtPackage();
    name = built.name;
    estate = await Estate.up(inject('base'), ['server']);
    machine = estate.machine('server');
    await machine.carry(built.tarball, '/root/isthmus.tar.gz');
    await machine.run(`tar xzf isthmus.tar.gz
${name}/install.sh
isthmus init --data /var/lib/isthmus/server
isthmus service install --role server
isthmus site create eu`);
    const printed = await machine.run(
      'isthmus token create --role relay --site eu --name eu --address isthmus.example:8445',
    );
    await machine.run(asTyped('isthmus join … --service', printed));
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.error(await estate.autopsy());
  });
  afterAll(() => estate?.down());

  /** Unpacks the present version as another one, with files written over its own; answers the folder of the tree. */
  async function treeOf(version: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
    const writes = Object.entries(files).map(([path, text]) => `cat >${path} <<'CONTENT'\n${text}\nCONTENT`);
    await machine.run(`cp -a ${name} tree-${version}
cd tree-${version}
sed -i 's/"version": "[^"]*"/"version": "${version}"/' version.json app/package.json
${writes.join('\n')}
find . -type f ! -name SHA256SUMS -printf '%P\\n' | xargs sha256sum >SHA256SUMS`);
    return `/root/tree-${version}`;
  }

  async function withDefect(version: string, defect: string): Promise<string> {
    const main = await machine.run(`cat ${name}/app/cli/main.js`);
    return treeOf(version, { 'app/cli/main.js': `${defect}\n${main}` });
  }

  const install = (tree: string, within = '1m'): Promise<Outcome> =>
    machine.attempt(`${tree}/bin/isthmus host install ${tree} --confirm-within ${within}`);

  /** The version that each service runs, while it is connected. */
  async function running(): Promise<Record<string, string>> {
    const states = ['server', 'relay'].map((role) => `/var/lib/isthmus/${role}/status.json`);
    const found = (await machine.run(`cat ${states.join(' ')}`)).trim().split('\n');
    const statuses = found.map((line) => JSON.parse(line) as { component: string; version: string; state: string });
    return Object.fromEntries(statuses.map(({ component, version, state }) => [component, `${version} ${state}`]));
  }
  const all = (version: string) => ({ server: `${version} connected`, relay: `${version} connected` });

  test('a version that works stays, and every service runs from it', async () => {
    expect(await install(await treeOf('9.1.0'))).toMatchObject({ exitCode: 0 });
    expect(await running()).toEqual(all('9.1.0'));
    expect(await machine.run('readlink -f /proc/$(systemctl show --property=MainPID --value isthmus-relay)/exe')).toBe(
      '/opt/isthmus/9.1.0/bin/node\n',
    );
  });

  test('a version that crashes at start is left at once, with what it said', async () => {
    const { exitCode, stderr } = await install(await withDefect('9.2.0', DEFECTS.crashes));
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/does not start: nothing works here \(CONFIG_INVALID\); 9\.1\.0 runs again/);
    expect(stderr).toContain('(UPGRADE_START_FAILED)');
    expect(await running()).toEqual(all('9.1.0'));
  });

  test('a version with a unit that systemd rejects is left, with what systemd says', async () => {
    const unit = '[Service]\nExecStart=relative/path';
    const { exitCode, stderr } = await install(await treeOf('9.3.0', { 'systemd/isthmus-relay.service': unit }));
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/the service of the relay cannot be started: .*bad unit file setting/);
    expect(await running()).toEqual(all('9.1.0'));
  });

  test('a version that starts and does not connect is left when its time is over', async () => {
    const { exitCode, stderr } = await install(await withDefect('9.4.0', DEFECTS['never-connects']), '8s');
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/the relay of 9\.4\.0 is not connected/);
    expect(stderr).toContain('(UPGRADE_NOT_CONNECTED)');
    expect(await running()).toEqual(all('9.1.0'));
  });

  test('a power cut between switch and confirmation: the upgrader ends it at boot', async () => {
    const tree = await treeOf('9.5.0');
    const installing = install(tree);
    await waitFor(async () => /"phase":"(restarting|awaiting-confirmation)"/.test(await machine.run(JOURNAL)), {
      what: 'the switch',
    });
    await machine.powerCut();
    await installing;
    await machine.boot();
    await waitFor(async () => (await machine.run(JOURNAL)).includes('"phase":"confirmed"'), {
      ...{ limitMs: 60_000, everyMs: 300, what: 'the end of the change' },
    });
    expect(await running()).toEqual(all('9.5.0'));
    expect(JSON.parse(await machine.run('isthmus host show -o json'))).toMatchObject({
      current: '9.5.0',
      previous: '9.1.0',
      knownGood: '9.5.0',
    });
  });

  test('going back, and uninstalling, which leaves the data', async () => {
    await machine.run('/opt/isthmus/current/install.sh --go-back');
    expect(await running()).toEqual(all('9.1.0'));
    await machine.run('/opt/isthmus/current/install.sh --uninstall --yes');
    const left = await machine.run('ls -d /opt/isthmus /usr/local/bin/isthmus /var/lib/isthmus/* 2>/dev/null || true');
    expect(left).toBe('/var/lib/isthmus/relay\n/var/lib/isthmus/server\n');
    expect(await machine.run("systemctl list-units --all --plain --no-legend 'isthmus-*'")).toBe('');
  });
});

const JOURNAL = 'cat /opt/isthmus/upgrade.json';

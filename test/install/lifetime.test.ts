// The life of an installation on machines that reach nothing but the mesh: installed from a tarball that was carried
// in, joined, in use, upgraded, cut off from power meanwhile, given broken versions, taken back, and removed.
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { waitFor } from '../support/wait.ts';
import { Estate } from './support/estate.ts';
import type { Machine, Outcome } from './support/machine.ts';
import { cannotBoot } from './support/needs.ts';
import { asTyped } from './support/reader.ts';
import { asSteps } from './support/steps.ts';
import { higherVersion, presentSoftware, renumberedSoftware, type CarriedSoftware } from './support/software.ts';

const roles = { eu: 'relay', 'mirror-eu': 'mirror', 'web-1': 'tentacle', 'web-2': 'tentacle' } as const;
type NodeName = keyof typeof roles;
const nodeNames = Object.keys(roles) as NodeName[];

/** Holds the next restart of a service until the power goes: `current` leads to the new version, which does not run. */
const holdRestart = `
cat >/usr/local/sbin/systemctl <<'END'
#!/bin/sh
if [ -e /run/hold ] && [ "$1" = restart ]; then touch /run/held; exec sleep 1000; fi
exec /usr/bin/systemctl "$@"
END
chmod +x /usr/local/sbin/systemctl
touch /run/hold
`;

/** Runs until it is told to end, and says so once. */
const longScript = `echo "begun as $$"
touch /var/tmp/begun
until [ -e /var/tmp/may-end ]; do sleep 0.2; done
echo "ended as $$"`;

interface MeshView {
  readonly nodes: readonly { readonly id: string; readonly softwareVersion: string | null }[];
  readonly versionSkew: { readonly behind: readonly string[]; readonly ahead: readonly string[] };
}

describe.skipIf(cannotBoot())('the life of an installation', () => {
  let estate: Estate;
  let folder: string;
  let present: CarriedSoftware;
  let next: CarriedSoftware;
  let crashing: CarriedSoftware;
  let astray: CarriedSoftware;
  /** The upgrade to the version that does not connect takes two minutes, beside everything else. */
  let toAstray: Promise<Outcome>;
  let script: Promise<Outcome>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-versions-'));
    present = await presentSoftware();
    [astray, crashing, next, estate] = await Promise.all([
      renumberedSoftware(folder, higherVersion(present, 1), 'astray'),
      renumberedSoftware(folder, higherVersion(present, 2), 'crashes'),
      renumberedSoftware(folder, higherVersion(present)),
      Estate.up(inject('base')),
    ]);
  });
  asSteps(() => estate.autopsy());
  afterAll(async () => {
    await estate?.down();
    await rm(folder, { recursive: true, force: true });
  });

  const on = (name: string): Machine => estate.machine(name);

  /** Runs a command of the server's operator. */
  const cli = (words: string): Promise<string> => on('server').run(`isthmus ${words}`);

  /** Carries a version to a machine and unpacks it there; resolves with the path of its install.sh. */
  async function carried(machine: Machine, { folder: from, version, tarball }: CarriedSoftware): Promise<string> {
    await machine.run(`mkdir -p ${version}`);
    for (const file of await readdir(from)) await machine.carry(join(from, file), join('/root', version, file));
    await machine.run(`cd ${version} && sha256sum -c --quiet SHA256SUMS && tar xzf ${tarball}`);
    return `${version}/${tarball.replace(/\.tar\.gz$/, '')}/install.sh`;
  }

  async function joinAs(name: NodeName, words: string): Promise<void> {
    const printed = await cli(`token create --role ${roles[name]} --name ${name} ${words}`);
    await on(name).run(asTyped('isthmus join …', printed));
  }

  async function mesh(): Promise<MeshView> {
    return JSON.parse((await on('server').attempt('isthmus mesh status -o json')).stdout) as MeshView;
  }

  /** Waits until these nodes run these versions, are connected, and the server knows it. */
  async function expectVersions(expected: Readonly<Record<string, CarriedSoftware>>): Promise<void> {
    const versions = Object.fromEntries(Object.entries(expected).map(([name, { version }]) => [name, version]));
    const limits = { limitMs: 60_000, everyMs: 500 };
    for (const [name, version] of Object.entries(versions)) {
      const machine = on(name === 'server-1' ? 'server' : name);
      expect((await machine.run('readlink /opt/isthmus/current')).trim(), name).toBe(version);
      const service = async (): Promise<boolean> => (await machine.run('isthmus service status')).includes(version);
      await waitFor(service, { ...limits, what: `the service of ${name}` });
    }
    const asTheServerKnows = async (): Promise<true> => {
      const found = Object.fromEntries((await mesh()).nodes.map((node) => [node.id, node.softwareVersion]));
      expect(found).toMatchObject(versions);
      return true;
    };
    await waitFor(asTheServerKnows, { ...limits, what: 'the versions' });
  }

  /** Cuts the power once `current` leads to the new version and before any service has been restarted; boots again. */
  async function powerCutBeforeRestart(name: string, { version }: CarriedSoftware): Promise<void> {
    const machine = on(name);
    await waitFor(async () => (await machine.attempt('test -e /run/held')).exitCode === 0, {
      ...{ limitMs: 120_000, everyMs: 100, what: 'the restart' },
    });
    expect((await machine.run('readlink /opt/isthmus/current')).trim()).toBe(version);
    await machine.powerCut();
    await machine.boot();
  }

  test('five machines take the tarball and trust its key', async () => {
    await Promise.all(
      ['server', ...nodeNames].map(async (name) => {
        const installer = await carried(on(name), present);
        await on(name).run(`${installer} --trust ${present.version}/isthmus-release.pub`);
        expect((await on(name).run('isthmus --version')).trim()).toBe(present.version);
      }),
    );
  });

  test('each becomes a service: server, relay, mirror and tentacles', async () => {
    await on('server').run(`isthmus init --data /var/lib/isthmus/server
isthmus service install --role server
isthmus site create eu
isthmus site create lab
isthmus environment create production`);
    await joinAs('eu', '--site eu --dial relay.eu.example:8444 --address relay.eu.internal:8444');
    await joinAs('mirror-eu', '--site eu --parent eu');
    for (const [name, site] of [
      ['web-1', 'eu'],
      ['web-2', 'lab'],
    ] as const) {
      await joinAs(name, `--site ${site} --parent eu --environment production --target-role web`);
    }
    await expectVersions({ eu: present, 'mirror-eu': present, 'web-1': present, 'web-2': present });
  });

  test('a package is deployed', async () => {
    await on('server').run(`echo hello >index.html
tar czf hello-1.0.0.tar.gz index.html
cat >process.yaml <<'END'
steps:
  - name: files
    kind: package
    targetRoles: [web]
    package: { id: hello }
    postDeploy: { interpreter: bash, body: 'cat index.html' }
END
isthmus package push hello-1.0.0.tar.gz hello 1.0.0
isthmus project create hello --process process.yaml
isthmus release create hello 1.0.0
isthmus deploy --follow hello 1.0.0 --to production`);
  });

  test('the server is upgraded, though its power is cut between the switch and the restart', async () => {
    const server = on('server');
    const installer = await carried(server, next);
    await server.run(holdRestart);
    const cut = server.attempt(installer);
    await powerCutBeforeRestart('server', next);
    expect((await cut).exitCode).not.toBe(0);
    await waitFor(async () => (await server.run('isthmus host show')).includes('confirmed'), {
      ...{ limitMs: 60_000, everyMs: 500, what: 'the end of the upgrade' },
    });
    await expectVersions({ 'server-1': next, eu: present, 'web-1': present });
    const { versionSkew } = await mesh();
    expect(versionSkew).toMatchObject({ behind: ['eu', 'mirror-eu', 'web-1', 'web-2'], ahead: [] });
  });

  test('a machine goes back from a version that does not start, at once', async () => {
    for (const software of [present, astray, crashing]) await carried(on('server'), software);
    const file = ({ version, tarball }: CarriedSoftware): string => `--file ${version}/${tarball}`;
    toAstray = on('server').attempt(`isthmus node upgrade --follow web-2 ${file(astray)}`);
    script = on('server').attempt(
      `cat >long.sh <<'END'\n${longScript}\nEND\nisthmus script run --follow --file long.sh --machine web-1`,
    );
    await waitFor(async () => (await on('web-1').attempt('test -e /var/tmp/begun')).exitCode === 0, {
      what: 'the script that runs over the upgrades',
    });
    const { exitCode, stdout, stderr } = await on('server').attempt(
      `isthmus node upgrade --follow web-1 ${file(crashing)}`,
    );
    expect(exitCode, stdout + stderr).toBe(1);
    expect(stdout + stderr).toContain('UPGRADE_START_FAILED');
    await expectVersions({ 'web-1': present });
  });

  test('a site is upgraded through the mesh, canary first, though the power of one machine is cut meanwhile', async () => {
    await on('mirror-eu').run(holdRestart);
    const before = await estate.lab.bytes('wan-eu');
    const upgrade = on('server').attempt(
      `isthmus node upgrade --follow --site eu --canary web-1 --file ${next.version}/${next.tarball}`,
    );
    await powerCutBeforeRestart('mirror-eu', next);
    const { exitCode, stdout, stderr } = await upgrade;
    expect(exitCode, stdout + stderr).toBe(0);
    await expectVersions({ 'web-1': next, 'mirror-eu': next, eu: next });
    const { forward } = await estate.lab.bytes('wan-eu');
    const { size } = await stat(join(next.folder, next.tarball));
    expect((forward - before.forward) / size).toBeLessThan(1.5);
  });

  test('a script that ran over the upgrades was started once, and ends as if nothing had been', async () => {
    await on('web-1').run('touch /var/tmp/may-end');
    const { exitCode, stdout, stderr } = await script;
    expect(exitCode, stdout + stderr).toBe(0);
    const pid = /begun as (?<pid>\d+)/.exec(stdout)?.groups?.['pid'];
    expect(stdout.match(/(?:begun|ended) as \d+/g)).toEqual([`begun as ${pid}`, `ended as ${pid}`]);
  });

  test('a machine goes back from a version that does not connect, after two minutes', async () => {
    const { exitCode, stdout, stderr } = await toAstray;
    expect(exitCode, stdout + stderr).toBe(1);
    expect(stdout + stderr).toContain('UPGRADE_NOT_CONNECTED');
    await expectVersions({ 'web-2': present });
    expect((await mesh()).versionSkew).toMatchObject({ behind: ['web-2'], ahead: [] });
    await cli(`node upgrade --follow web-2 --file ${next.version}/${next.tarball}`);
    await expectVersions({ 'web-2': next });
    expect((await mesh()).versionSkew).toMatchObject({ behind: [], ahead: [] });
  });

  test('the mesh carries no lower version, and no version takes a database that it does not know', async () => {
    const lower = await on('server').attempt(
      `isthmus node upgrade --follow web-1 --file ${present.version}/${present.tarball}`,
    );
    expect(lower.exitCode).not.toBe(0);
    expect(lower.stdout + lower.stderr).toContain('UPGRADE_DOWNGRADE');
    const older = await on('server').attempt(`cp -a /opt/isthmus/${present.version} older
cd older
sed -i 's/"schema": .*"/"schema": "0000-none"/' version.json
find . -type f ! -name SHA256SUMS -printf '%P\\n' | xargs sha256sum >/run/sums
mv /run/sums SHA256SUMS
./install.sh`);
    expect(older.exitCode).not.toBe(0);
    expect(older.stdout + older.stderr).toContain('SCHEMA_NEWER');
    await expectVersions({ 'server-1': next, 'web-1': next });
  });

  test('root takes a machine back to the version before', async () => {
    await on('web-1').run('isthmus host go-back');
    await expectVersions({ 'web-1': present });
  });

  test('an uninstallation leaves the data, with which another installation goes on, and nothing if it is told so', async () => {
    const machine = on('web-2');
    await machine.run('/opt/isthmus/current/install.sh --uninstall --yes');
    expect(await machine.run('ls -A /opt; ls -A /usr/local/bin; ls /etc/systemd/system | grep isthmus || :')).toBe('');
    expect(await machine.run('ls /var/lib/isthmus')).toContain('tentacle');
    await machine.run(`${await carried(machine, next)}
isthmus service install --role tentacle`);
    await expectVersions({ 'web-2': next });
    await machine.run('/opt/isthmus/current/install.sh --uninstall --delete-data --yes');
    expect(await machine.run('find / -xdev -iname "*isthmus*" -not -path "/root/*" -not -path "/sys/*"')).toBe('');
    expect(await machine.run('grep isthmus /etc/passwd /etc/group || :')).toBe('');
  });
});

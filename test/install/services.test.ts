// Components as services of a machine with a real systemd: what their units let them do, and what they keep from them;
// restarts, crashes, a power cut; and what `isthmus service` says where one does not start or connect.
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import { builtPackage } from '../support/package.ts';
import { waitFor } from '../support/wait.ts';
import { Estate } from './support/estate.ts';
import type { Machine } from './support/machine.ts';
import { cannotBoot } from './support/needs.ts';
import { asTyped } from './support/reader.ts';

const roles = ['server', 'relay', 'mirror', 'tentacle'] as const;
const own = ['server', 'relay', 'mirror'] as const;

describe.skipIf(cannotBoot())('services', () => {
  let estate: Estate;
  let machine: Machine;
  beforeAll(async () => {
    const { folder, tarball, name } = await builtPackage();
    estate = await Estate.up(inject('base'), ['server']);
    machine = estate.machine('server');
    await machine.carry(tarball, '/root/isthmus.tar.gz');
    await machine.carry(join(folder, 'isthmus-release.pub'), '/root/isthmus-release.pub');
    await machine.run(`tar xzf isthmus.tar.gz
${name}/install.sh --trust isthmus-release.pub
printf 'correct horse battery staple\\n' >pass`);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') console.error(await estate.autopsy());
  });
  afterAll(() => estate?.down());

  const joinAs = async (role: string, words: string, more = ''): Promise<void> => {
    const printed = await machine.run(`isthmus token create --role ${role} --site eu --name ${role}-1 ${words}`);
    await machine.run(asTyped(`isthmus join … ${more}`, printed));
  };

  /** Joins that this machine cannot carry out do not use the token; answers what has printed it. */
  const cannotBeService = async (): Promise<string> => {
    const words = '--parent relay-1 --environment prod --target-role web';
    const printed = await machine.run(`isthmus token create --role tentacle --site eu --name tentacle-1 ${words}`);
    const unknown = await machine.attempt(asTyped('isthmus join … --script-user deploy', printed));
    expect(unknown).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/no user "deploy".*SCRIPT_USER_UNKNOWN/) as unknown,
    });
    const folder = '/var/lib/isthmus/tentacle';
    await machine.run(`install -d -m 700 ${folder}\necho 'scriptUsr: x' >${folder}/config.yaml`);
    const wrong = await machine.attempt(asTyped('isthmus join …', printed));
    expect(wrong).toMatchObject({ exitCode: 9, stderr: expect.stringContaining('"scriptUsr" is not') as unknown });
    await machine.run(`rm -r ${folder}`);
    return printed;
  };

  const pidOf = async (role: string): Promise<string> =>
    (await machine.run(`systemctl show --property=MainPID --value isthmus-${role}`)).trim();

  const script = (body: string): string =>
    `isthmus script run --file - --machine tentacle-1 --follow <<'BODY'\n${body}\nBODY`;

  const allConnected = (): Promise<unknown> =>
    waitFor(async () => (await machine.attempt('isthmus service status')).exitCode === 0, {
      ...{ limitMs: 60_000, everyMs: 300, what: 'the services' },
    });

  test('all roles are installed, started and connected; a second time changes nothing', async () => {
    const created = await machine.run('isthmus init --data /var/lib/isthmus/server');
    expect(created).toContain('Next:  isthmus service install --role server');
    await machine.run('isthmus service install --role server\nisthmus site create eu\nisthmus environment create prod');
    await joinAs('relay', '--address isthmus.example:8445');
    await machine.run('mkdir /data; ln -s /data/mirror /var/lib/isthmus/mirror; mkdir /data/mirror');
    await joinAs('mirror', '--parent relay-1');
    const printed = await cannotBeService();
    const joining = asTyped('isthmus join … --script-user deploy', printed);
    await machine.run(`useradd --system deploy\n${joining}`);
    expect(await machine.run('cat /var/lib/isthmus/tentacle/config.yaml')).toContain('scriptUser: deploy');
    const { stderr } = await machine.attempt(joining);
    expect(stderr).toContain('`isthmus service install --role tentacle --script-user deploy` runs it as a service');
    await machine.run('isthmus service install --role tentacle --script-user isthmus-scripts');
    const pids = await Promise.all(roles.map(pidOf));
    for (const role of roles) {
      expect(await machine.run(`isthmus service install --role ${role}`)).toContain(`isthmus-${role}.service runs`);
    }
    expect(await Promise.all(roles.map(pidOf))).toEqual(pids);
    const shown = JSON.parse(await machine.run('isthmus service status -o json')) as object[];
    expect(shown).toMatchObject(roles.map((role) => ({ role, active: 'active', state: 'connected', code: null })));
    await machine.run('systemd-analyze verify --man=no /etc/systemd/system/isthmus-*');
  });

  test('whoever is not root sees what systemd says, and that the rest is for root', async () => {
    const nobody = 'setpriv --reuid=nobody --regid=nogroup --clear-groups isthmus service status';
    const shown = await machine.attempt(nobody);
    expect(shown).toMatchObject({ exitCode: 9, stderr: expect.stringContaining('(NOT_ROOT)') as unknown });
    for (const role of roles) expect(shown.stdout).toMatch(new RegExp(`${role} +active .*only root may read`));
  });

  test('server, relay and mirror have no rights, read what they must, and write to their folder only', async () => {
    for (const role of own) {
      const pid = await pidOf(role);
      const status = await machine.run(`cat /proc/${pid}/status`);
      expect(status).toMatch(/^NoNewPrivs:\t1$/m);
      expect(status).toMatch(/^CapBnd:\t0+$/m);
      const as = `nsenter -t ${pid} -m setpriv --reuid=isthmus --regid=isthmus --clear-groups`;
      await machine.run(`${as} cat /opt/isthmus/upgrade.json /etc/isthmus/release-keys/*.pub`);
      const denied = `${as} sh -c 'ls /root || ls /home || touch /var/lib/isthmus/x /opt/isthmus/x /var/tmp/../x'`;
      expect((await machine.attempt(denied)).exitCode).not.toBe(0);
      const other = role === 'server' ? 'relay' : 'server';
      expect((await machine.attempt(`nsenter -t ${pid} -m touch /var/lib/isthmus/${other}/x`)).stderr).toContain(
        'Read-only file system',
      );
    }
  });

  test('a script runs as its account, on over a restart of the tentacle, and is killed when its time is up', async () => {
    const running = machine.attempt(
      script('id -un; touch $HOME/begun; until [ -e /tmp/may-end ]; do sleep 0.2; done; exit 7'),
    );
    await waitFor(async () => (await machine.attempt('ls /var/lib/isthmus/scripts/begun')).exitCode === 0);
    const before = await pidOf('tentacle');
    await machine.run('systemctl restart isthmus-tentacle');
    await allConnected();
    expect(await pidOf('tentacle')).not.toBe(before);
    await machine.run('touch /tmp/may-end');
    const { exitCode, stdout } = await running;
    expect(exitCode).toBe(1);
    expect(stdout).toContain('tentacle-1 | isthmus-scripts');
    expect(stdout).toContain('exit code 7');
    await machine.run('echo sleep 4321 | isthmus script run --file - --machine tentacle-1 --time-limit 2s --detach');
    await waitFor(async () => (await machine.attempt('pgrep -f "sleep 432[1]"')).exitCode === 0);
    await waitFor(async () => (await machine.attempt('pgrep -f "sleep 432[1]"')).exitCode === 1, { limitMs: 60_000 });
  });

  test('a package is installed below a root that the settings allow, and belongs to the account of scripts', async () => {
    await machine.run(`echo 'installRoots: [/srv]' >>/var/lib/isthmus/tentacle/config.yaml
systemctl restart isthmus-tentacle
echo hello >index.html
tar czf hello.tar.gz index.html
cat >process.yaml <<'END'
steps:
  - name: files
    kind: package
    targetRoles: [web]
    package: { id: hello }
    installTo: /srv/web
    postDeploy: { body: 'cat /srv/web/index.html' }
END
isthmus package push hello.tar.gz hello 1.0.0
isthmus project create hello --process process.yaml
isthmus release create hello 1.0.0`);
    await allConnected();
    await machine.run('isthmus deploy hello 1.0.0 --to prod --follow');
    expect(await machine.run('stat -c %U /srv/web/index.html')).toBe('isthmus-scripts\n');
  });

  test('scripts gain no rights and change no system, unless that was allowed', async () => {
    await machine.run('cp /usr/bin/touch /srv/as-root; chmod 4755 /srv/as-root');
    const change = script('/srv/as-root /usr/changed; /srv/as-root /root/changed');
    expect((await machine.attempt(change)).exitCode).toBe(1);
    expect((await machine.attempt('ls /usr/changed || ls /root/changed')).exitCode).not.toBe(0);
    await machine.run('isthmus service install --role tentacle --scripts-may-change-system');
    await machine.run(change);
    expect(await machine.run('stat -c %U /usr/changed /root/changed')).toBe('root\nroot\n');
    await machine.run('isthmus service install --role tentacle --no-scripts-may-change-system');
    expect((await machine.attempt(script('/srv/as-root /usr/changed-too'))).exitCode).toBe(1);
  });

  test("root's commands work on the folders of services, and leave nothing of root's there", async () => {
    await machine.run(`isthmus backup --data /var/lib/isthmus/server --to running.backup --passphrase-file pass
isthmus key create --data /var/lib/isthmus/server --name me --role admin --out me.key
isthmus cert authority --data /var/lib/isthmus/relay
systemctl stop isthmus-server
isthmus backup --data /var/lib/isthmus/server --to stopped.backup --passphrase-file pass
isthmus key create --data /var/lib/isthmus/server --name too --role admin --out too.key
rm -r /var/lib/isthmus/server
isthmus restore --data /var/lib/isthmus/server --from stopped.backup --passphrase-file pass --yes
isthmus service install --role server`);
    expect(await machine.run('find /var/lib/isthmus/server /var/lib/isthmus/relay -not -user isthmus')).toBe('');
    expect(await machine.run('stat -c "%U %a" running.backup')).toBe('root 600\n');
    await allConnected();
  });

  test('a service that keeps ending is started again and again', async () => {
    const dropIn = '/run/systemd/system/isthmus-relay.service.d';
    await machine.run(`mkdir -p ${dropIn}
printf '[Service]\\nRestartSec=10ms\\n' >${dropIn}/soon.conf
systemctl daemon-reload`);
    for (let crash = 1; crash <= 8; crash += 1) {
      await machine.run('systemctl kill --signal=KILL isthmus-relay');
      await waitFor(
        async () =>
          (await machine.run('systemctl show --property=NRestarts --value isthmus-relay')).trim() === String(crash),
      );
    }
    await machine.run(`rm -r ${dropIn}\nsystemctl daemon-reload`);
    await allConnected();
  });

  test('after a power cut all are started by the boot', async () => {
    await machine.powerCut();
    await machine.boot();
    await allConnected();
  });

  test('a fault in the settings is said, with what to do; a service that is new is taken away again', async () => {
    await machine.run(`cp -p /var/lib/isthmus/relay/config.yaml good.yaml
chmod 777 /var/lib/isthmus/relay
systemctl restart isthmus-relay`);
    const statusOfRelay = async () => (await machine.attempt('isthmus service status --role relay')).stdout;
    await waitFor(async () => (await statusOfRelay()).includes('PERMISSIONS_UNSAFE'));
    await machine.run(`chmod 700 /var/lib/isthmus/relay
sed -i 's/^parents:/parent:/' /var/lib/isthmus/relay/config.yaml
echo 'listne: 1' >>/var/lib/isthmus/relay/config.yaml
systemctl restart isthmus-relay`);
    await waitFor(async () => /"parent" is not a setting.*; .*"listne".*CONFIG_INVALID/.test(await statusOfRelay()));
    await machine.run('isthmus service uninstall --role relay');
    const { exitCode, stderr } = await machine.attempt('isthmus service install --role relay');
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(
      /"parent" is not a setting.*; .*"listne" is not a setting; did you mean "listen"\? \(CONFIG_INVALID\) \(SERVICE_START_FAILED\)/,
    );
    expect(stderr).toContain('what to do: Correct the setting');
    expect(await machine.attempt('systemctl is-enabled isthmus-relay')).not.toMatchObject({ exitCode: 0 });
    await machine.run('cp -p good.yaml /var/lib/isthmus/relay/config.yaml');
  });

  test('without its server a service stays, and says why it is not connected', async () => {
    await machine.run('systemctl stop isthmus-server');
    const { exitCode, stderr } = await machine.attempt('isthmus service install --role relay --wait 4s');
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/no link to the parent .* \(SERVICE_NOT_CONNECTED\)/);
    await machine.run('systemctl start isthmus-server\nisthmus service install --role relay');
  });

  test('removed, a service leaves its data, unless they are to go', async () => {
    await machine.run('isthmus service uninstall --role mirror');
    expect(await machine.run('ls /var/lib/isthmus')).toContain('mirror');
    await machine.run('isthmus service install --role mirror');
    await machine.run('isthmus service uninstall --role mirror --delete-data --yes');
    await machine.attempt(script('setsid sleep 5432 & exit 0'));
    await machine.run('isthmus service uninstall --role tentacle --delete-data --yes');
    expect(await machine.run('ls /var/lib/isthmus; pgrep -f "sleep 543[2]" || :')).toBe('relay\nscripts\nserver\n');
    expect(await machine.run('ls /data')).toBe('');
    expect((await machine.attempt('isthmus service uninstall --role tentacle')).exitCode).toBe(7);
  });
});

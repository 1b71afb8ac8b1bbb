// A service is installed, watched until it is connected, and taken away, with a systemd that is made up: what is on the
// disk of the host, what systemd is asked for, and what is said where the component does not start or connect.
import { existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RunProgram } from '../../lib/programs.ts';
import { lacks } from '../../test/support/needs.ts';
import { tempDir } from '../../test/support/temp.ts';
import { hostLayout, type HostLayout } from '../layout.ts';
import type { ComponentStatus } from '../status.ts';
import { installService, requireInstallable, type InstallOptions } from './install.ts';
import { reasonOf, serviceOf } from './service.ts';
import { Systemd } from './systemd.ts';
import { uninstallService } from './uninstall.ts';
import { installedRoles, UPGRADER_PATH } from './units.ts';

const UNIT = 'isthmus-tentacle.service';
const PID = 4711;
const INVOCATION = 'a1b2c3';

/** What a start of the unit comes to. */
type Outcome = ComponentStatus['state'] | 'ends' | 'cannot be run' | 'has no upgrader';

/** A systemd of one unit, with what it was asked for. */
class MadeUp {
  readonly asked: string[] = [];
  /** What the present start has written, after what others have. */
  readonly journal: string[] = [];
  readonly earlier: string[] = [];
  readonly #layout: HostLayout;
  outcome: Outcome = 'connected';
  #state: 'inactive' | 'active' | 'activating' = 'inactive';

  constructor(layout: HostLayout) {
    this.#layout = layout;
  }

  readonly run: RunProgram = async (program, ...words) => {
    if (program === 'journalctl') {
      const isOfOne = words.includes(`_SYSTEMD_INVOCATION_ID=${INVOCATION}`);
      return [...(isOfOne ? [] : this.earlier), ...this.journal].join('\n');
    }
    const [verb, unit] = words;
    if (verb === 'show') return this.#shown(words.at(-1)!);
    this.asked.push(words.join(' '));
    if (unit === UPGRADER_PATH && verb === 'start' && this.outcome === 'has no upgrader') {
      throw Object.assign(new Error('Command failed'), { stderr: '\nUnit isthmus-upgrade.path is masked.\n' });
    }
    if (unit === UNIT && verb === 'restart') this.#start();
    if (unit === UNIT && verb === 'stop') this.#state = 'inactive';
    return '';
  };

  #start(): void {
    if (this.outcome === 'cannot be run') throw new Error('Job for isthmus-tentacle.service failed');
    this.#state = this.outcome === 'ends' ? 'activating' : 'active';
    if (this.outcome === 'ends' || this.outcome === 'has no upgrader') return;
    const facts = { component: 'tentacle', version: '1.2.0', pid: PID, startedAt: 1, since: 1 } as const;
    const why = this.outcome === 'disconnected' ? { code: 'LINK_TIMEOUT', detail: 'no link to eu' } : {};
    const status: ComponentStatus = { ...facts, state: this.outcome, ...why };
    writeFileSync(join(this.#layout.dataDir('tentacle'), 'status.json'), JSON.stringify(status));
  }

  #shown(unit: string): string {
    const state = unit === UNIT ? this.#state : 'inactive';
    const sub = { inactive: 'dead', active: 'running', activating: 'auto-restart' }[state];
    return `ActiveState=${state}\nSubState=${sub}\nMainPID=${state === 'active' ? PID : 0}\nNRestarts=0\nInvocationID=${INVOCATION}\n`;
  }
}

async function host() {
  const root = await tempDir();
  const layout = hostLayout(root);
  mkdirSync(join(layout.versions, '1.2.0/systemd'), { recursive: true });
  writeFileSync(join(layout.versions, '1.2.0/systemd', UNIT), '');
  symlinkSync('1.2.0', layout.current);
  const madeUp = new MadeUp(layout);
  return { layout, madeUp, host: { layout, systemd: new Systemd(madeUp.run, root) } };
}

const OPTIONS: InstallOptions = {
  ...{ role: 'tentacle', scriptUser: 'root', isChanged: false, waitMs: 60_000 },
  signal: new AbortController().signal,
};

describe.skipIf(lacks('root'))('a service', () => {
  test('is linked, started and connected; installed again, nothing is started anew', async () => {
    const { host: on, layout, madeUp } = await host();
    const service = await installService(on, OPTIONS);
    expect(service).toMatchObject({ role: 'tentacle', unit: UNIT, active: 'active', pid: PID });
    expect(service.status).toMatchObject({ version: '1.2.0', state: 'connected' });
    for (const name of [UNIT, `multi-user.target.wants/${UNIT}`]) {
      expect(readlinkSync(join(layout.units, name))).toBe(`/opt/isthmus/current/systemd/${UNIT}`);
    }
    expect(lstatSync(layout.dataDir('tentacle')).mode & 0o777).toBe(0o700);
    expect(installedRoles(layout)).toEqual(['tentacle']);
    const steps = ['daemon-reload', `start ${UPGRADER_PATH}`, `reset-failed ${UNIT}`, `restart ${UNIT}`];
    expect(madeUp.asked).toEqual(steps);
    madeUp.asked.length = 0;
    await installService(on, OPTIONS);
    expect(madeUp.asked).toEqual(['daemon-reload', `start ${UPGRADER_PATH}`]);
    await installService(on, { ...OPTIONS, isChanged: true });
    await installService(on, { ...OPTIONS, scriptsMayChangeSystem: true });
    await installService(on, { ...OPTIONS, scriptsMayChangeSystem: true });
    await installService(on, OPTIONS);
    await installService(on, { ...OPTIONS, scriptsMayChangeSystem: false });
    expect(madeUp.asked.filter((words) => words === `restart ${UNIT}`)).toHaveLength(3);
  });

  test('that ends right after its first start is taken away, with what its component said', async () => {
    const { host: on, layout, madeUp } = await host();
    madeUp.outcome = 'ends';
    madeUp.journal.push('isthmus: an older error (INTERNAL)', 'Starting…');
    madeUp.journal.push(
      'isthmus: no port (PORT_IN_USE at here)',
      '  what to do: Stop the other.',
      '',
      'Main process exited',
    );
    await expect(installService(on, OPTIONS)).rejects.toMatchObject({
      code: 'SERVICE_START_FAILED',
      message: `${UNIT} does not stay up: no port (PORT_IN_USE)`,
      remedy: 'Stop the other.',
    });
    expect(installedRoles(layout)).toEqual([]);
    expect(readdirSync(layout.units)).toEqual(['multi-user.target.wants']);
    expect(readdirSync(join(layout.units, 'multi-user.target.wants'))).toEqual([]);
    expect(existsSync(layout.dataDir('tentacle'))).toBe(true);
    expect(madeUp.asked.slice(-2)).toEqual([`stop ${UNIT}`, 'daemon-reload']);
  });

  test('that ends is told of by all that its component said at this start, and by nothing older', async () => {
    const { host: on, madeUp } = await host();
    madeUp.outcome = 'ends';
    madeUp.earlier.push('isthmus: others can write there (PERMISSIONS_UNSAFE)', '  what to do: Restrict it.');
    madeUp.journal.push(
      '{"level":"info"}',
      'isthmus: config.yaml:1: "parents" is missing',
      '         config.yaml:2: "parent" is not a setting (CONFIG_INVALID)',
      '  what to do: Correct the setting.',
    );
    const message = 'config.yaml:1: "parents" is missing; config.yaml:2: "parent" is not a setting';
    await expect(installService(on, OPTIONS)).rejects.toMatchObject({
      message: `${UNIT} does not stay up: ${message} (CONFIG_INVALID)`,
      remedy: 'Correct the setting.',
    });
    await madeUp.run('systemctl', 'restart', UNIT);
    const why = async () => reasonOf(on, await serviceOf(on, 'tentacle'));
    expect(await why()).toMatchObject({ code: 'CONFIG_INVALID', message });
    madeUp.journal.length = 0;
    expect(await why()).toBeUndefined();
    madeUp.earlier.length = 0;
    await expect(installService(on, OPTIONS)).rejects.toMatchObject({
      remedy: expect.stringContaining(`journalctl -u ${UNIT}`) as unknown,
    });
  });

  test('whose account for scripts is missing is none, and leaves nothing', async () => {
    const { host: on, layout, madeUp } = await host();
    const words = { ...OPTIONS, scriptUser: 'nobody-has-this-name' };
    await expect(requireInstallable(on, words)).rejects.toMatchObject({ code: 'SCRIPT_USER_UNKNOWN' });
    await expect(installService(on, words)).rejects.toMatchObject({ code: 'SCRIPT_USER_UNKNOWN' });
    expect(madeUp.asked).toEqual([]);
    expect(existsSync(layout.dataDir('tentacle'))).toBe(false);
  });

  test('without the upgrader is none, with what systemd says of that', async () => {
    const { host: on, layout, madeUp } = await host();
    madeUp.outcome = 'has no upgrader';
    await expect(installService(on, OPTIONS)).rejects.toMatchObject({
      code: 'SERVICE_START_FAILED',
      message: `${UPGRADER_PATH} cannot be started: Unit isthmus-upgrade.path is masked.`,
    });
    expect(installedRoles(layout)).toEqual([]);
    expect(readdirSync(layout.units)).toEqual(['multi-user.target.wants']);
  });

  test('that was installed before stays, whatever becomes of its start', async () => {
    const { host: on, layout, madeUp } = await host();
    await installService(on, OPTIONS);
    for (const outcome of ['ends', 'cannot be run'] as const) {
      madeUp.outcome = outcome;
      const again = installService(on, { ...OPTIONS, isChanged: true });
      await expect(again).rejects.toMatchObject({ code: 'SERVICE_START_FAILED' });
      expect(installedRoles(layout)).toEqual(['tentacle']);
    }
  });

  test('that is not connected in time stays, and says why', async () => {
    const { host: on, layout, madeUp } = await host();
    madeUp.outcome = 'disconnected';
    await expect(installService(on, { ...OPTIONS, waitMs: 0 })).rejects.toMatchObject({
      code: 'SERVICE_NOT_CONNECTED',
      message: `${UNIT} runs, and is not connected yet: no link to eu (LINK_TIMEOUT)`,
    });
    expect(installedRoles(layout)).toEqual(['tentacle']);
  });

  test('is not what another process has written', async () => {
    const { host: on, layout } = await host();
    await installService(on, OPTIONS);
    const path = join(layout.dataDir('tentacle'), 'status.json');
    writeFileSync(path, JSON.stringify({ ...(await serviceOf(on, 'tentacle')).status, pid: PID + 1 }));
    expect((await serviceOf(on, 'tentacle')).status).toBeUndefined();
  });

  test('does not replace a unit that somebody wrote', async () => {
    const { host: on, layout, madeUp } = await host();
    mkdirSync(layout.units, { recursive: true });
    writeFileSync(join(layout.units, UNIT), '[Service]\n');
    await expect(requireInstallable(on, OPTIONS)).rejects.toMatchObject({ code: 'FILE_UNUSABLE' });
    await expect(installService(on, OPTIONS)).rejects.toMatchObject({ code: 'FILE_UNUSABLE' });
    expect(madeUp.asked).toEqual([]);
  });

  test('is not made without systemd or the software', async () => {
    const { host: on, layout } = await host();
    const without = { layout, systemd: new Systemd(async () => '', join(layout.root, 'nowhere')) };
    await expect(installService(without, OPTIONS)).rejects.toMatchObject({ code: 'SERVICE_UNSUPPORTED' });
    await expect(installService(on, { ...OPTIONS, role: 'relay' })).rejects.toMatchObject({
      code: 'SERVICE_UNSUPPORTED',
    });
  });

  test('is removed with its links; its data stay unless they are to go', async () => {
    const { host: on, layout, madeUp } = await host();
    await installService(on, { ...OPTIONS, scriptsMayChangeSystem: true });
    await uninstallService(on, 'tentacle');
    await uninstallService(on, 'tentacle');
    expect(installedRoles(layout)).toEqual([]);
    expect(readdirSync(join(layout.units, `${UNIT}.d`))).toEqual([]);
    expect(existsSync(join(layout.dataDir('tentacle'), 'status.json'))).toBe(true);
    expect(madeUp.asked.filter((words) => words.startsWith('stop'))).toEqual([`stop ${UNIT}`]);
    await uninstallService(on, 'tentacle', { deletesData: true });
    expect(existsSync(layout.dataDir('tentacle'))).toBe(false);
    expect(madeUp.asked.some((words) => words.startsWith('kill --kill-who=all'))).toBe(true);
  });
});

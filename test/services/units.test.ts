// The units of a host, as files: systemd understands every line, each is as closed as its component allows, and each is
// started again whatever keeps it down.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { NODE_ROLES } from '../../contract/nodes.ts';
import { hostLayout } from '../../host/layout.ts';
import { UPGRADER_UNITS, unitOf } from '../../host/services/units.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';

const folder = join(import.meta.dirname, '../../install/systemd');
const DROP_IN = 'scripts-may-change-system.conf';

/** The most that `systemd-analyze security` may find open, in tenths; 100 is all. */
const EXPOSURE = {
  'isthmus-server.service': 15,
  'isthmus-relay.service': 15,
  'isthmus-mirror.service': 15,
  // It runs as root, for scripts of another account and deployments wherever its settings allow.
  'isthmus-tentacle.service': 38,
  // Root, too: it installs software and restarts services.
  'isthmus-upgrade.service': 26,
} as const;

/** The values of each key of a unit, in order. */
function settingsOf(unit: string): Map<string, string[]> {
  const settings = new Map<string, string[]>();
  for (const line of readFileSync(join(folder, unit), 'utf8').split('\n')) {
    const [, key = '', value = ''] = /^(\w+)=(.*)$/.exec(line) ?? [];
    if (key !== '') settings.set(key, [...(settings.get(key) ?? []), value]);
  }
  return settings;
}

test('there is one for each role, and what changes the version', () => {
  expect(readdirSync(folder).sort()).toEqual([...NODE_ROLES.map(unitOf), ...UPGRADER_UNITS, DROP_IN].sort());
});

test.each(NODE_ROLES)('that of a %s starts it on its data folder, for ever', (role) => {
  const settings = settingsOf(unitOf(role));
  const { current, dataDir } = hostLayout();
  expect(settings.get('ExecStart')).toEqual([`${current}/bin/isthmus ${role} start --data ${dataDir(role)}`]);
  expect(settings.get('ReadWritePaths')).toEqual(role === 'tentacle' ? undefined : [`-${dataDir(role)}`]);
  expect(settings.get('Restart')).toEqual(['always']);
  expect(settings.get('StartLimitIntervalSec')).toEqual(['0']);
  // `stop` gives a component 20 s.
  expect(Number(settings.get('TimeoutStopSec'))).toBeGreaterThan(20);
  expect(settings.get('User')).toEqual(role === 'tentacle' ? undefined : ['isthmus']);
  const others = NODE_ROLES.filter((other) => other !== role).map((other) => `-${dataDir(other)}`);
  expect(settings.get('InaccessiblePaths')).toEqual(role === 'tentacle' ? undefined : [others.join(' ')]);
  expect(settings.get('KillMode')).toEqual(role === 'tentacle' ? ['process'] : undefined);
});

describe.skipIf(lacks('systemdAnalyze'))('systemd', () => {
  test('understands every line', async () => {
    const copies = await tempDir();
    const units = readdirSync(folder).filter((name) => name !== DROP_IN);
    for (const unit of units) {
      const text = readFileSync(join(folder, unit), 'utf8');
      // What it starts is not on this machine.
      await writeFile(join(copies, unit), text.replace(/^ExecStart=\S+/m, 'ExecStart=/bin/true'));
    }
    await mkdir(join(copies, 'isthmus-tentacle.service.d'));
    await copyFile(join(folder, DROP_IN), join(copies, 'isthmus-tentacle.service.d', DROP_IN));
    const paths = units.map((unit) => join(copies, unit));
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...paths], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test.each(Object.entries(EXPOSURE))('finds %s no more exposed than %i tenths', (unit, tenths) => {
    const words = ['security', '--offline=yes', '--no-pager', `--threshold=${tenths}`, join(folder, unit)];
    const { status, stdout } = spawnSync('systemd-analyze', words, { encoding: 'utf8' });
    expect(status, stdout).toBe(0);
  });
});

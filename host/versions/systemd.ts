// The services of a host as systemd runs them, for the change of its version.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { IsthmusError } from '../../contract/errors.ts';
import { NODE_ROLES, type NodeRole } from '../../contract/nodes.ts';
import type { HostLayout } from '../layout.ts';
import { readStatus } from '../status.ts';
import type { HostServices } from './services.ts';

const unitOf = (role: NodeRole): string => `isthmus-${role}.service`;

/** What a command of this software says at its end when it fails: `isthmus: <message> (<CODE>)`. */
const LAST_WORDS = /^isthmus: (.*) \(([A-Z][A-Z0-9_]+)(?: at [^)]*)?\)$/;

/** The services of a host: those of systemd, and none where it does not run, as in an image. */
export function hostServices(layout: HostLayout): HostServices {
  return layout.root === '/' && existsSync('/run/systemd/system') ? systemdServices(layout) : NO_SERVICES;
}

const NO_SERVICES: HostServices = {
  active: () => Promise.resolve([]),
  reload: () => Promise.resolve(),
  restart: () => Promise.resolve(),
  stop: () => Promise.resolve(),
  state: () => Promise.resolve({ pid: undefined, crashes: 0, hasFailed: false, status: undefined }),
  lastError: () => Promise.resolve(undefined),
};

function systemdServices(layout: HostLayout): HostServices {
  return {
    async active() {
      const states = await Promise.all(NODE_ROLES.map((role) => properties(role, 'ActiveState')));
      return NODE_ROLES.filter((_role, index) => !['inactive', 'failed'].includes(states[index]!['ActiveState'] ?? ''));
    },
    reload: () => systemctl('daemon-reload').then(() => undefined),
    restart: (role) => systemctl('restart', unitOf(role)).then(() => undefined),
    stop: (role) => systemctl('stop', unitOf(role)).then(() => undefined),
    async state(role) {
      const found = await properties(role, 'MainPID', 'NRestarts', 'ActiveState');
      const pid = Number(found['MainPID'] ?? 0);
      return {
        pid: pid === 0 ? undefined : pid,
        crashes: Number(found['NRestarts'] ?? 0),
        hasFailed: found['ActiveState'] === 'failed',
        status: readStatus(layout.dataDir(role)),
      };
    },
    async lastError(role) {
      const { InvocationID: id = '' } = await properties(role, 'InvocationID');
      const { stdout } = await exec('journalctl', [
        ...['--no-pager', '--output=cat', '--lines=100'],
        ...(id === '' ? [`--unit=${unitOf(role)}`] : [`_SYSTEMD_INVOCATION_ID=${id}`]),
      ]);
      const [, message, code] =
        LAST_WORDS.exec(stdout.split('\n').findLast((line) => LAST_WORDS.test(line)) ?? '') ?? [];
      return message === undefined || code === undefined ? undefined : { message, code };
    },
  };
}

const exec = promisify(execFile);

/** UPGRADE_START_FAILED with what systemd says. */
async function systemctl(...words: readonly string[]): Promise<string> {
  try {
    return (await exec('systemctl', words)).stdout;
  } catch (cause) {
    const { stderr = '', message } = cause as Error & { readonly stderr?: string };
    const [first = message] = stderr.split('\n').filter((line) => line !== '');
    throw new IsthmusError('UPGRADE_START_FAILED', first, { cause });
  }
}

async function properties(role: NodeRole, ...names: readonly string[]): Promise<Readonly<Record<string, string>>> {
  const text = await systemctl('show', unitOf(role), `--property=${names.join(',')}`);
  return Object.fromEntries(
    text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

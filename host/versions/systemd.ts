// The services of a host as systemd runs them, for the change of its version.
import { NODE_ROLES, type NodeRole } from '../../contract/nodes.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { HostLayout } from '../layout.ts';
import { systemdOf, whatItSaid, type Systemd } from '../services/systemd.ts';
import { unitOf } from '../services/units.ts';
import { readStatus } from '../status.ts';
import type { HostServices } from './services.ts';

const NO_SERVICES: HostServices = {
  active: () => Promise.resolve([]),
  reload: () => Promise.resolve(),
  restart: () => Promise.resolve(),
  stop: () => Promise.resolve(),
  state: () => Promise.resolve({ pid: undefined, crashes: 0, hasFailed: false, status: undefined }),
  lastError: () => Promise.resolve(undefined),
};

/** The services of a host; it has none where systemd does not run it, as an image. */
export function hostServices(layout: HostLayout): HostServices {
  const systemd = systemdOf(layout);
  return systemd === undefined ? NO_SERVICES : systemdServices(layout, systemd);
}

function systemdServices(layout: HostLayout, systemd: Systemd): HostServices {
  const startedAtMs = new Map<NodeRole, number>();
  const begunAtMs = Date.now();
  return {
    async active() {
      const states = await Promise.all(NODE_ROLES.map((role) => systemd.state(unitOf(role))));
      return NODE_ROLES.filter((_role, index) => !['inactive', 'failed'].includes(states[index]!.active));
    },
    reload: () => systemd.reload(),
    async restart(role) {
      startedAtMs.set(role, Date.now());
      await systemd.restart(unitOf(role)).catch((cause: unknown) => {
        throw new IsthmusError('UPGRADE_START_FAILED', whatItSaid(cause), { cause });
      });
    },
    stop: (role) => systemd.stop(unitOf(role)),
    async state(role) {
      const { pid, crashes, active } = await systemd.state(unitOf(role));
      return { pid, crashes, hasFailed: active === 'failed', status: readStatus(layout.dataDir(role)) };
    },
    lastError: (role) => systemd.lastError(unitOf(role), { sinceMs: startedAtMs.get(role) ?? begunAtMs }),
  };
}

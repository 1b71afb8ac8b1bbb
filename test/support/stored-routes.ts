// The routes of machines just as they are stored, for tests of tasks without a topology.
import { IsthmusError } from '../../contract/errors.ts';
import type { Store } from '../../server/store/store.ts';
import type { RoutesOf } from '../../server/tasks/routes.ts';

export function storedRoutes(store: Pick<Store, 'machines' | 'nodes'>): RoutesOf {
  return async (machine) => {
    if ((await store.nodes.find(machine))?.state === 'revoked') {
      throw new IsthmusError('MACHINE_REVOKED', `node ${machine} has been revoked`, { hop: machine });
    }
    const routes = (await store.machines.routesOf([machine])).get(machine) ?? [];
    return routes.filter((route) => route.kind !== 'auto');
  };
}

// What every store does with sites, nodes, machines, projects and the like, whatever database it has.
import { describe, expect, it } from 'vitest';
import type { Store } from '../../server/store/store.ts';

export function resourceBehaviour(dialect: string, open: () => Promise<Store>): void {
  describe(`resources on ${dialect}`, () => {
    it('change only at the version that was read, and not when they are referred to', async () => {
      const store = await open();
      await store.sites.insert({ id: 'eu', name: 'EU', description: '', createdAt: 1 });
      await expect(
        store.sites.insert({ id: 'eu', name: 'again', description: '', createdAt: 2 }),
      ).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
      const changed = await store.sites.update('eu', 1, { name: 'Europe' });
      expect(changed).toMatchObject({ version: 2, name: 'Europe' });
      await expect(store.sites.update('eu', 1, { name: 'x' })).rejects.toMatchObject({ code: 'PRECONDITION_FAILED' });
      await addNode(store, 'eu-1', 'tentacle');
      await expect(store.sites.delete('eu', 2)).rejects.toMatchObject({ code: 'IN_USE' });
      expect(await store.sites.get('eu')).toMatchObject({ version: 2, name: 'Europe' });
    });

    it('keep a machine whole: routes, environments, target roles, health', async () => {
      const store = await open();
      await store.sites.insert({ id: 'eu', name: 'EU', description: '', createdAt: 1 });
      await store.environments.insert({ id: 'prod', name: 'Production', description: '', createdAt: 1 });
      await addNode(store, 'web-1', 'tentacle');
      await store.transaction((tx) =>
        tx.machines.insert({
          id: 'web-1',
          name: 'web-1',
          site: 'eu',
          environments: ['prod'],
          targetRoles: ['web', 'web', 'db'],
          routes: [{ kind: 'direct' }],
          createdAt: 1,
        }),
      );
      await store.machines.setHealth('web-1', 'healthy', { loadPerCpu: 0.5 }, 500);
      const routes = [{ kind: 'path' as const, via: ['eu', 'eu-pci'] }];
      const changed = await store.transaction((tx) => tx.machines.update('web-1', 1, { routes, disabled: true }));
      expect(changed).toMatchObject({
        environments: ['prod'],
        targetRoles: ['db', 'web'],
        routes,
        disabled: true,
        health: 'healthy',
        healthReport: { loadPerCpu: 0.5 },
        version: 2,
      });
      expect(await store.machines.select({ environments: ['prod'], targetRoles: ['web'] })).toHaveLength(1);
      expect(await store.machines.select({ environments: ['prod'], targetRoles: ['mail'] })).toEqual([]);
      expect(await store.machines.select({ ids: [] })).toEqual([]);
    });

    it('bind a join token to one of many keys, and consume it once', async () => {
      const store = await open();
      await store.sites.insert({ id: 'eu', name: 'EU', description: '', createdAt: 1 });
      await store.tokens.insert({
        id: 'tok-1',
        proofKeySealed: 'sealed',
        role: 'tentacle',
        site: 'eu',
        name: null,
        parents: [{ node: 'server', dialAddress: null }],
        address: null,
        environments: [],
        targetRoles: [],
        routes: null,
        expiresAt: 1,
        createdBy: 'k',
        createdAt: 1,
      });
      const bound = await Promise.all(
        Array.from({ length: 50 }, (_, i) => store.tokens.bind('tok-1', `spki-${i}`, `node-${i}`)),
      );
      expect(bound.filter(Boolean)).toHaveLength(1);
      const winner = bound.indexOf(true);
      expect(await store.tokens.bind('tok-1', `spki-${winner}`, `node-${winner}`)).toBe(true);
      const consumed = await Promise.all([store.tokens.consume('tok-1', 5), store.tokens.consume('tok-1', 6)]);
      expect(consumed.filter(Boolean)).toHaveLength(1);
      expect(await store.tokens.bind('tok-1', `spki-${winner}`, `node-${winner}`)).toBe(false);
    });

    it('keep the scope of a variable, value by value, and remove it with the variable', async () => {
      const store = await open();
      const at = { project: 'shop', id: 'v1' };
      await store.projects.insert({ id: 'shop', name: 'Shop', description: '', process: [], createdAt: 1 });
      const scope = { environment: ['test', 'prod'], 'target-role': ['web'], machine: [] };
      const variable = { ...at, name: 'Url', value: 'x', valueSealed: null, scope, createdAt: 1 };
      await store.transaction((tx) => tx.variables.insert(variable));
      const kept = { environment: ['prod', 'test'], 'target-role': ['web'] };
      expect((await store.variables.get(at.project, at.id)).scope).toEqual(kept);
      await store.transaction((tx) => tx.variables.update(at.project, at.id, 1, { value: 'y' }));
      expect((await store.variables.list(at.project, { limit: 10 })).items[0]?.scope).toEqual(kept);
      const patch = { scope: { machine: ['web-1'] } };
      await store.transaction((tx) => tx.variables.update(at.project, at.id, 2, patch));
      expect((await store.variables.all(at.project))[0]?.scope).toEqual(patch.scope);
      await store.transaction((tx) => tx.variables.delete(at.project, at.id, 3));
      await store.transaction((tx) => tx.variables.insert({ ...variable, scope: {} }));
      expect((await store.variables.get(at.project, at.id)).scope).toEqual({});
    });

    it('remember the current release, whether its step has succeeded, and the one before that did', async () => {
      const store = await open();
      const at = { machine: 'm', project: 'shop', environment: 'prod', step: 'web' };
      await store.installed.activated({ ...at, release: 'r-1', version: '1', sha256: 'a', activatedAt: 1 });
      expect(await store.installed.find({ ...at, environment: 'test' })).toBeUndefined();
      expect(await store.installed.find(at)).toMatchObject({ version: '1', activatedAt: 1, succeededAt: null });
      await store.installed.succeeded(at, 2);
      expect(await store.installed.find(at)).toMatchObject({ version: '1', activatedAt: 1, succeededAt: 2 });
      for (const [release, version] of [
        ['r-2', '2'],
        ['r-3', '3'],
      ] as const) {
        await store.installed.activated({ ...at, release, version, sha256: 'b', activatedAt: 3 });
        const current = { release, version, activatedAt: 3, succeededAt: null };
        expect(await store.installed.find(at)).toMatchObject({ ...current, previousRelease: 'r-1' });
      }
      await store.installed.succeeded(at, 4);
      await store.installed.activated({ ...at, release: 'r-1', version: '1', sha256: 'a', activatedAt: 5 });
      expect(await store.installed.find(at)).toMatchObject({ release: 'r-1', previousRelease: 'r-3' });
    });
  });
}

async function addNode(store: Store, id: string, role: 'relay' | 'tentacle'): Promise<void> {
  const parents = [{ node: 'server', dialAddress: null }];
  await store.transaction((tx) => tx.nodes.insert({ id, role, site: 'eu', parents, createdAt: 1 }));
}

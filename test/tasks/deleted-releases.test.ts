// Which releases can be deleted: those that no machine has as its current or previous one.
import { expect, it } from 'vitest';
import { submitDeployment } from '../../server/deployments/deployments.ts';
import { createProject, deleteProject } from '../../server/projects/projects.ts';
import { createRelease, deleteRelease } from '../../server/projects/releases.ts';
import { actor, startHarness, type Harness } from './harness.ts';

const webStep = { name: 'web', kind: 'package', targetRoles: ['web'], package: { id: 'shop.web' } };

/** Pushes a version of the package, and releases and deploys it. */
async function deployed(h: Harness, version: string): Promise<void> {
  const { id } = await h.store.transaction(async (tx) => {
    await tx.packages.insert({
      ...{ id: 'shop.web', idKey: 'shop.web', version, versionKey: version },
      ...{ sha256: version.replaceAll('.', '').padEnd(64, '0'), sizeBytes: 1000, format: 'tar.gz', publishedAt: 1 },
    });
    await createRelease(tx, h.steps, 'shop', { version }, actor);
    return submitDeployment(tx, h, { project: 'shop', release: version, environment: 'prod' }, actor);
  });
  expect((await h.ended(id)).state).toBe('succeeded');
}

it('deletes only releases that no machine has, and keeps the deployments of those', async () => {
  const h = await startHarness();
  await h.machine('web-1', { roles: ['web'] });
  await h.store.transaction((tx) => createProject(tx, h.steps, { id: 'shop', steps: [webStep] }, actor));
  await deployed(h, '1.0.0');
  const remove = async (version: string) => {
    const found = await h.store.releases.findVersion('shop', version);
    await h.store.transaction((tx) => deleteRelease(tx, found!.id, { actor }));
  };
  for (const version of ['1.1.0', '1.2.0']) {
    await deployed(h, version);
    // The one before is kept on the machine, for the way back.
    await expect(remove(version)).rejects.toMatchObject({
      message: `release ${version} of shop is in use by machine web-1 (current in prod)`,
    });
  }
  await expect(remove('1.1.0')).rejects.toMatchObject({
    code: 'IN_USE',
    message: 'release 1.1.0 of shop is in use by machine web-1 (previous in prod)',
    action: { code: 'DEPLOY_OTHER', arguments: { project: 'shop', environment: 'prod' } },
  });
  await remove('1.0.0');
  const { items } = await h.store.deployments.list({ project: 'shop' }, { limit: 10 });
  expect(items.map(({ version }) => version)).toEqual(['1.2.0', '1.1.0', '1.0.0']);
  const { version } = await h.store.machines.get('web-1');
  await h.store.transaction(async (tx) => {
    await tx.environments.insert({ id: 'idle', name: '', description: '', createdAt: 1 });
    await tx.machines.update('web-1', version, { environments: ['idle'] });
  });
  const project = { id: 'shop', version: 1 };
  await expect(h.store.transaction((tx) => deleteProject(tx, project, { actor }))).rejects.toMatchObject({
    code: 'IN_USE',
    message: 'project shop is in use by release 1.2.0, release 1.1.0',
    action: { code: 'DELETE_RELEASE', arguments: { project: 'shop', version: '1.2.0' } },
  });
  for (const each of ['1.1.0', '1.2.0']) await remove(each);
  await h.store.transaction((tx) => deleteProject(tx, project, { actor }));
  expect(await h.store.projects.find('shop')).toBeUndefined();
  expect((await h.store.deployments.list({ project: 'shop' }, { limit: 10 })).items).toHaveLength(3);
});

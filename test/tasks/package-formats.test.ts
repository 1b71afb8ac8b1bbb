// What a release pins of a package, and what a machine is told to make of it: a folder, or the one file that it is.
import { expect, it } from 'vitest';
import type { PackageFormat } from '../../contract/packages.ts';
import { submitDeployment } from '../../server/deployments/deployments.ts';
import { createProject } from '../../server/projects/projects.ts';
import { createRelease } from '../../server/projects/releases.ts';
import { actor, startHarness } from './harness.ts';

const SHARED = { id: 'app', idKey: 'app', version: '1.0.0', versionKey: '1.0.0', sha256: '1'.repeat(64) };
const measured = { unpackedBytes: 5000, entries: 7 };

async function release(format: PackageFormat, pinned: object, step: object) {
  const h = await startHarness();
  const fake = await h.machine('web-1', { roles: ['web'] });
  const task = h.store.transaction(async (tx) => {
    await tx.packages.insert({ ...SHARED, sizeBytes: 1000, format, publishedAt: Date.now(), ...pinned });
    const web = { name: 'web', kind: 'package', targetRoles: ['web'], package: { id: 'app' }, ...step };
    await createProject(tx, h.steps, { id: 'shop', steps: [web] }, actor);
    await createRelease(tx, h.steps, 'shop', { version: '1.0.0' }, actor);
    return submitDeployment(tx, h, { project: 'shop', release: '1.0.0', environment: 'prod' }, actor);
  });
  return { h, fake, task };
}

it.each<[PackageFormat, object, object, object]>([
  ['tar.gz', measured, {}, { format: 'tar.gz', fileName: '', ...measured }],
  ['zip', {}, {}, { format: 'zip', fileName: '', unpackedBytes: 0, entries: 0 }],
  [
    'jar',
    { ...measured, fileName: 'app.jar' },
    {},
    { format: 'file', fileName: 'app.jar', unpackedBytes: 1000, entries: 1 },
  ],
  ['jar', { ...measured, fileName: 'app.jar' }, { unpack: true }, { format: 'zip', fileName: '', ...measured }],
  ['file', { fileName: 'app.conf' }, {}, { format: 'file', fileName: 'app.conf', unpackedBytes: 1000, entries: 1 }],
])('a %s of %j in a step with %j is made into %j', async (format, pinned, step, made) => {
  const { h, fake, task } = await release(format, pinned, step);
  await h.ended((await task).id);
  expect(fake.acquired).toEqual([made]);
});

it.each<[PackageFormat, string]>([
  ['file', 'is no archive'],
  ['war', 'is not a zip that can be unpacked'],
])('no release pins a %s that cannot be unpacked for a step that unpacks it', async (format, says) => {
  const { task } = await release(format, { fileName: 'app' }, { unpack: true });
  await expect(task).rejects.toMatchObject({
    code: 'INVALID_FIELD',
    field: 'packages.web',
    message: expect.stringContaining(says) as string,
  });
});

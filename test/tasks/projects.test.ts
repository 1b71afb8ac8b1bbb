// Projects, variables and releases: what is rejected leaves no trace, what is accepted leaves one audit event.
import { expect, it } from 'vitest';
import { versionKey } from '../../lib/package-versions.ts';
import { createProject, deleteProject, replaceProcess } from '../../server/projects/projects.ts';
import { createRelease } from '../../server/projects/releases.ts';
import {
  createVariable,
  deleteVariable,
  updateVariable,
  variableView,
  type NewVariable,
} from '../../server/projects/variables.ts';
import { actor, startHarness, type Harness } from './harness.ts';

const webStep = { name: 'web', kind: 'package', targetRoles: [], package: { id: 'Shop.Web' } };

async function project(h: Harness, id = 'shop', steps: unknown[] = [webStep]): Promise<void> {
  await h.store.transaction(async (tx) => {
    await createProject(tx, h.steps, { id }, actor);
    await replaceProcess(tx, h.steps, { id, version: 1 }, steps, actor);
  });
}

const variable = (h: Harness, input: NewVariable, id = 'shop') =>
  h.store.transaction((tx) => createVariable(tx, h.sealer, id, input, actor));

async function push(h: Harness, ...versions: string[]): Promise<void> {
  for (const version of versions) {
    const entry = { id: 'Shop.Web', idKey: 'shop.web', version, versionKey: versionKey(version) };
    const rest = {
      sha256: version.replaceAll(/\D/g, '').padEnd(64, '0'),
      sizeBytes: 7,
      format: 'zip',
      publishedAt: 1,
    } as const;
    await h.store.transaction((tx) => tx.packages.insert({ ...entry, ...rest }));
  }
}

const release = (h: Harness, version: string, packages?: Record<string, string>) =>
  h.store.transaction((tx) => createRelease(tx, h.steps, 'shop', { version, packages }, actor));

async function eventTypes(h: Harness): Promise<string[]> {
  return (await h.store.events.list({ limit: 500 })).items.map(({ type }) => type);
}

it('seals sensitive values, never shows them, and keeps them sealed for their own row', async () => {
  const h = await startHarness();
  await project(h);
  const made = await variable(h, { name: 'Password', value: 'hunter22!', sensitive: true });
  expect(made).toMatchObject({ value: null });
  expect(made.valueSealed).not.toContain('hunter22');
  expect(JSON.stringify(variableView(made))).not.toContain(made.valueSealed);
  expect(variableView(made)).toMatchObject({ sensitive: true, value: null });
  expect(h.sealer.openText(made.valueSealed!, `variables/${made.id}/value`)).toBe('hunter22!');
  expect(() => h.sealer.openText(made.valueSealed!, 'variables/other/value')).toThrow();
  const { items } = await h.store.events.list({ type: 'variable.created', limit: 5 });
  expect(items).toMatchObject([{ actor, subject: made.id, data: { name: 'Password', sensitive: true } }]);
  expect(JSON.stringify(items)).not.toContain('hunter22');
});

it('takes a sensitive value as text, also one that looks like a template that is not whole', async () => {
  const h = await startHarness();
  await project(h);
  const value = '##{a #{if b} #{/each}';
  const { id, valueSealed } = await variable(h, { name: 'Password', value, sensitive: true });
  expect(h.sealer.openText(valueSealed!, `variables/${id}/value`)).toBe(value);
  await expect(variable(h, { name: 'Plain', value })).rejects.toMatchObject({ code: 'VARIABLE_SYNTAX' });
});

it('changes and deletes variables under their version, and reveals nothing', async () => {
  const h = await startHarness();
  await project(h);
  const { id } = await variable(h, { name: 'Password', value: 'hunter22!', sensitive: true });
  const change = (version: number, input: Parameters<typeof updateVariable>[3], of = 'shop') =>
    h.store.transaction((tx) => updateVariable(tx, h.sealer, { project: of, id, version }, input, actor));
  await expect(change(1, { sensitive: false })).rejects.toMatchObject({ code: 'INVALID_FIELD', field: 'value' });
  expect(await change(1, { value: 'correct horse' })).toMatchObject({ value: null, version: 2 });
  await expect(change(1, { name: 'Other' })).rejects.toMatchObject({ code: 'PRECONDITION_FAILED' });
  await project(h, 'other', []);
  await expect(change(2, { name: 'Other' }, 'other')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await change(2, { value: 'open', sensitive: false })).toMatchObject({ value: 'open', valueSealed: null });
  await h.store.transaction((tx) => deleteVariable(tx, { project: 'shop', id, version: 3 }, actor));
  expect(await h.store.variables.all('shop')).toEqual([]);
});

it.each<[string, NewVariable]>([
  ['SENSITIVE_TOO_SHORT', { name: 'A', value: 'abc', sensitive: true }],
  ['SENSITIVE_TOO_SHORT', { name: 'A', value: '', sensitive: true }],
  ['VARIABLE_NAME', { name: 'LD_PRELOAD', value: 'x' }],
  ['VARIABLE_NAME', { name: 'taken-name', value: 'x' }],
  ['VARIABLE_TOO_LARGE', { name: 'A', value: 'x'.repeat(200_000) }],
  ['VARIABLE_SYNTAX', { name: 'A', value: '#{if B}never closed' }],
  ['VARIABLE_SYNTAX', { name: 'A', value: '#{My Name}' }],
  ['VARIABLE_SYNTAX', { name: 'A', value: '#{Name | Format "yyyy"}' }],
  ['INVALID_FIELD', { name: 'A', value: 'nul\0' }],
  ['INVALID_FIELD', { name: 'A', value: 'x', environments: ['moon'] }],
  ['INVALID_FIELD', { name: 'A', value: 'x', machines: ['nobody'] }],
  ['SCOPE_MISMATCH', { name: 'A', value: 'x', machines: ['web-1'], environments: ['test'] }],
  ['SCOPE_MISMATCH', { name: 'A', value: 'x', machines: ['web-1'], targetRoles: ['db'] }],
])('rejects a variable with %s: %j', async (code, input) => {
  const h = await startHarness();
  await h.machine('web-1', { roles: ['web'], environments: ['prod'] });
  await h.machine('db-1', { environments: ['test'] });
  await project(h);
  await variable(h, { name: 'taken.name', value: 'x' });
  const before = await eventTypes(h);
  await expect(variable(h, input)).rejects.toMatchObject({ code });
  expect(await h.store.variables.all('shop')).toHaveLength(1);
  expect(await eventTypes(h)).toEqual(before);
});

it('pins the latest version that is not a pre-release, or the requested one', async () => {
  const h = await startHarness();
  await project(h);
  await expect(release(h, '1.0.0')).rejects.toMatchObject({ code: 'INVALID_FIELD', field: 'packages.web' });
  await push(h, '1.9.0', '1.10.0', '2.0.0-beta');
  expect((await release(h, '1.0.0')).packages).toEqual([
    { step: 'web', id: 'Shop.Web', version: '1.10.0', sha256: '1100'.padEnd(64, '0'), sizeBytes: 7, format: 'zip' },
  ]);
  expect((await release(h, '1.0.1', { web: '2.0.0-BETA' })).packages[0]?.version).toBe('2.0.0-beta');
  await expect(release(h, '1.0.2', { web: '9.0' })).rejects.toMatchObject({ field: 'packages.web' });
  await expect(release(h, '1.0.2', { db: '1.0' })).rejects.toMatchObject({ field: 'packages.db' });
  await expect(release(h, '01.0')).rejects.toMatchObject({
    code: 'RELEASE_EXISTS',
    message: 'project shop has a release 1.0.0 already',
    action: { code: 'SHOW_RELEASE', arguments: { project: 'shop', version: '1.0.0' } },
  });
  await expect(release(h, 'not a version')).rejects.toMatchObject({ code: 'INVALID_FIELD', field: 'version' });
});

it('keeps in a release what the project no longer has', async () => {
  const h = await startHarness();
  await project(h);
  await push(h, '1.0.0');
  const made = await variable(h, { name: 'Colour', value: 'red' });
  const { id } = await release(h, '1.0.0');
  await h.store.transaction((tx) => deleteVariable(tx, { project: 'shop', id: made.id, version: 1 }, actor));
  await h.store.transaction((tx) => replaceProcess(tx, h.steps, { id: 'shop', version: 2 }, [], actor));
  const kept = await h.store.releases.get(id);
  expect(kept).toMatchObject({ process: [webStep], variables: [{ name: 'Colour', value: 'red' }] });
  await expect(release(h, '1.0.1')).rejects.toMatchObject({ code: 'INVALID_FIELD', field: 'project' });
  await expect(
    h.store.transaction((tx) => deleteProject(tx, { id: 'shop', version: 3 }, { actor })),
  ).rejects.toMatchObject({
    code: 'IN_USE',
  });
});

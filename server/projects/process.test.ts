import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { checkProcess } from './process.ts';

const script = { interpreter: 'bash', body: 'true' };
const scriptStep = { name: 'one', kind: 'script', targetRoles: ['web'], script };
const packageStep = {
  name: 'two',
  kind: 'package',
  targetRoles: [],
  package: { id: 'Shop.Web' },
  substituteIn: ['**/*.json'],
};

it('takes scripts and packages in order', () => {
  expect(checkProcess([scriptStep, { ...packageStep, preDeploy: { body: 'x' }, timeLimitS: 60 }])).toEqual([
    scriptStep,
    { ...packageStep, preDeploy: { interpreter: 'bash', body: 'x' }, timeLimitS: 60 },
  ]);
});

it('takes the process that the documentation shows', async () => {
  const docs = await readFile(join(import.meta.dirname, '../../docs/deployments.md'), 'utf8');
  const shown = parse(/```yaml\n(.*?)```/s.exec(docs)![1]!) as { steps: { kind: string }[] };
  expect(checkProcess(shown.steps).map(({ kind }) => kind)).toEqual(['package', 'script']);
});

it('names the fields that there are', () => {
  expect(() => checkProcess([{ ...packageStep, package: 'web' }])).toThrow('an object is wanted, with id');
  expect(() => checkProcess([{ ...scriptStep, post: 'x' }])).toThrow(/no such field; known are name, .*\bscript\b/);
});

it.each([
  ['a repeated name', [scriptStep, scriptStep], 'steps[1].name'],
  ['a name that is no slug', [{ ...scriptStep, name: 'Not A Slug' }], 'steps[0].name'],
  ['an unknown kind', [{ ...scriptStep, kind: 'magic' }], 'steps[0].kind'],
  ['an unknown field', [{ ...scriptStep, owner: 'me' }], 'steps[0].owner'],
  ['a field of the other kind', [{ ...scriptStep, preDeploy: script }], 'steps[0].preDeploy'],
  [
    'an unknown interpreter',
    [{ ...scriptStep, script: { interpreter: 'perl', body: 'x' } }],
    'steps[0].script.interpreter',
  ],
  ['an empty body', [{ ...scriptStep, script: { ...script, body: '' } }], 'steps[0].script.body'],
  ['a NUL', [{ ...scriptStep, script: { ...script, body: 'a\0b' } }], 'steps[0].script.body'],
  ['a pattern that climbs', [{ ...packageStep, substituteIn: ['../etc/passwd'] }], 'steps[0].substituteIn[0]'],
  ['an absolute pattern', [{ ...packageStep, substituteIn: ['/etc/passwd'] }], 'steps[0].substituteIn[0]'],
  ['no package', [{ ...packageStep, package: undefined }], 'steps[0].package'],
  ['a package id with a slash', [{ ...packageStep, package: { id: 'a/b' } }], 'steps[0].package.id'],
  ['a time limit of a fraction', [{ ...scriptStep, timeLimitS: 1.5 }], 'steps[0].timeLimitS'],
  ['no list', { steps: [] }, 'steps'],
  ['too many steps', Array.from({ length: 101 }, (_, n) => ({ ...scriptStep, name: `s${n}` })), 'steps'],
])('refuses %s and names the field', (_, steps, field) => {
  expect(() => checkProcess(steps)).toThrow(expect.objectContaining({ code: 'INVALID_FIELD', field }));
});

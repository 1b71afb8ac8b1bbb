import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { Type } from 'typebox';
import { stepHandlers } from '../task-kinds.ts';
import { checkProcess as checkAgainst } from './process.ts';
import { STEP_FIELDS } from '../../contract/projects.ts';
import type { StepKind, StepKinds } from './step-kinds.ts';

const checkProcess = (steps: unknown) => checkAgainst(steps, stepHandlers());

const script = { interpreter: 'bash', body: 'true' };
const scriptStep = { name: 'one', kind: 'script', targetRoles: ['web'], script };
const packageStep = {
  name: 'two',
  kind: 'package',
  targetRoles: [],
  package: { id: 'Shop.Web' },
  substituteIn: ['**/*.json'],
};

it('accepts scripts and packages in order', () => {
  expect(checkProcess([scriptStep, { ...packageStep, preDeploy: { body: 'x' }, timeLimitS: 60 }])).toEqual([
    scriptStep,
    { ...packageStep, preDeploy: { interpreter: 'bash', body: 'x' }, timeLimitS: 60 },
  ]);
});

it('accepts the process that the documentation shows', async () => {
  const docs = await readFile(join(import.meta.dirname, '../../docs/deployments.md'), 'utf8');
  const shown = parse(/```yaml\n(.*?)```/s.exec(docs)![1]!) as { steps: { kind: string }[] };
  expect(checkProcess(shown.steps).map(({ kind }) => kind)).toEqual(['script', 'package', 'script']);
});

it('accepts steps before acquisition at the beginning, one of them on a machine of its own', () => {
  const before = { ...scriptStep, name: 'mount', stage: 'beforeAcquisition' };
  const once = { ...before, name: 'open-vpn', targetRoles: [], machine: 'gateway-1' };
  expect(checkProcess([once, before, packageStep])).toEqual([once, before, packageStep]);
});

it.each<[string, string, object[]]>([
  ['stands after a step that is none', 'steps[1].stage', [scriptStep, { name: 'late', stage: 'beforeAcquisition' }]],
  ['has another stage', 'steps[0].stage', [{ stage: 'acquisition' }]],
  ['names a machine without the stage', 'steps[0].machine', [{ machine: 'gateway-1', targetRoles: [] }]],
  ['names a machine and roles', 'steps[0].targetRoles', [{ machine: 'gateway-1', stage: 'beforeAcquisition' }]],
  ['names no machine', 'steps[0].machine', [{ machine: 'Gateway 1', stage: 'beforeAcquisition', targetRoles: [] }]],
])('rejects a step before acquisition that %s', (_, field, steps) => {
  expect(() => checkProcess(steps.map((step) => ({ ...scriptStep, ...step })))).toThrow(
    expect.objectContaining({ code: 'INVALID_FIELD', field }) as Error,
  );
});

it('names the known fields', () => {
  const unknown = (step: object) => () => checkProcess([step]);
  expect(unknown({ ...scriptStep, post: 'x' })).toThrow(/^steps\[0\]\.post is not a known field; .*\bscript\b/);
  expect(unknown({ ...packageStep, package: { id: 'a', of: 'b' } })).toThrow(
    'steps[0].package.of is not a known field',
  );
  expect(unknown({ ...packageStep, package: { id: 'a', of: 'b' } })).toThrow('; known are id');
  expect(unknown({ ...scriptStep, kind: 'magic' })).toThrow('steps[0].kind must be one of: script, package');
});

it('fills in what is left out, and names each role once', () => {
  const { targetRoles: _roles, ...step } = scriptStep;
  expect(checkProcess([{ ...step, script: { body: 'true' } }])).toEqual([{ ...scriptStep, targetRoles: [] }]);
  expect(checkProcess([{ ...scriptStep, targetRoles: ['web', 'db', 'web'] }])[0]?.targetRoles).toEqual(['web', 'db']);
});

it('checks a step with the schema of its kind, for any kind', () => {
  const pause: StepKind = {
    kind: 'pause',
    schema: Type.Object({ ...STEP_FIELDS, kind: Type.Literal('pause'), seconds: Type.Integer({ maximum: 60 }) }),
  };
  const kinds: StepKinds = { kinds: ['pause'], find: (kind) => (kind === 'pause' ? pause : undefined) };
  const step = { name: 'rest', kind: 'pause', targetRoles: [], seconds: 5 };
  expect(checkAgainst([step], kinds)).toEqual([step]);
  expect(() => checkAgainst([{ ...step, seconds: 61 }], kinds)).toThrow(
    expect.objectContaining({ code: 'INVALID_FIELD', field: 'steps[0].seconds' }),
  );
  expect(() => checkAgainst([scriptStep], kinds)).toThrow('steps[0].kind must be one of: pause');
});

it.each([
  ['a repeated name', [scriptStep, scriptStep], 'steps[1].name'],
  ['a name that is no slug', [{ ...scriptStep, name: 'Not A Slug' }], 'steps[0].name'],
  ['no object', ['x'], 'steps[0]'],
  ['a list', [[]], 'steps[0].kind'],
  ['no kind', [{ ...scriptStep, kind: undefined }], 'steps[0].kind'],
  ['the name of something else', [{ ...scriptStep, kind: 'constructor' }], 'steps[0].kind'],
  ['an unknown kind', [{ ...scriptStep, kind: 'magic' }], 'steps[0].kind'],
  ['an unknown field', [{ ...scriptStep, owner: 'me' }], 'steps[0].owner'],
  ['a field of the other kind', [{ ...scriptStep, preDeploy: script }], 'steps[0].preDeploy'],
  ['a stage of a package', [{ ...packageStep, stage: 'beforeAcquisition' }], 'steps[0].stage'],
  [
    'an unknown interpreter',
    [{ ...scriptStep, script: { interpreter: 'perl', body: 'x' } }],
    'steps[0].script.interpreter',
  ],
  [
    'a body that is too long in bytes',
    [{ ...scriptStep, script: { body: 'ü'.repeat(600_000) } }],
    'steps[0].script.body',
  ],
  ['an empty body', [{ ...scriptStep, script: { ...script, body: '' } }], 'steps[0].script.body'],
  ['a NUL', [{ ...scriptStep, script: { ...script, body: 'a\0b' } }], 'steps[0].script.body'],
  ['a pattern that climbs', [{ ...packageStep, substituteIn: ['../etc/passwd'] }], 'steps[0].substituteIn[0]'],
  [
    'an unknown encoding',
    [{ ...packageStep, substituteIn: [{ files: 'a.ini', encoding: 'ebcdic' }] }],
    'steps[0].substituteIn[0].encoding',
  ],
  [
    'a pattern that climbs, with an encoding',
    [{ ...packageStep, substituteIn: [{ files: '../a', encoding: 'utf-8' }] }],
    'steps[0].substituteIn[0].files',
  ],
  ['an absolute pattern', [{ ...packageStep, substituteIn: ['/etc/passwd'] }], 'steps[0].substituteIn[0]'],
  ['no package', [{ ...packageStep, package: undefined }], 'steps[0].package'],
  ['a package id with a slash', [{ ...packageStep, package: { id: 'a/b' } }], 'steps[0].package.id'],
  ['a time limit of a fraction', [{ ...scriptStep, timeLimitS: 1.5 }], 'steps[0].timeLimitS'],
  ['no list', { steps: [] }, 'steps'],
  ['too many steps', Array.from({ length: 101 }, (_, n) => ({ ...scriptStep, name: `s${n}` })), 'steps'],
])('rejects %s and names the field', (_, steps, field) => {
  expect(() => checkProcess(steps)).toThrow(expect.objectContaining({ code: 'INVALID_FIELD', field }));
});

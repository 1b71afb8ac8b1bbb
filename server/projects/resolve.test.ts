import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Variable } from '../store/projects/variables.ts';
import { resolveAt, scriptEnv, sealIdentity } from './resolve.ts';
import { variablesAt } from './scope.ts';
import { checkVariableName, envName } from './variable-names.ts';

let created = 0;
function variable(name: string, value: string, more: Partial<Variable> = {}): Variable {
  created += 1;
  const id = `v${created}`;
  return { id, project: 'shop', name, value, valueSealed: null, scope: {}, version: 1, createdAt: created, ...more };
}

const sealed = (name: string, value: string): Variable => ({
  ...variable(name, ''),
  value: null,
  valueSealed: `sealed:${value}`,
});
const target = { environment: 'prod', machine: 'web-1', targetRoles: ['web'] };
const sealer = {
  openText(text: string, identity: string) {
    expect(identity).toMatch(/^variables\/v\d+\/value$/);
    return text.slice('sealed:'.length);
  },
};
const resolve = (...variables: Variable[]) => resolveAt(variables, target, sealer);

it('rejects sensitive values that cannot be masked, before anything runs', () => {
  const key = (name: string) => sealed(name, name.repeat(40_000));
  expect(() => resolve(key('A'), key('B'))).toThrow('the sensitive values take 80000 bytes');
});

describe('scopes', () => {
  it('the most specific one wins: machine, then role, then environment, then everywhere', () => {
    const all = [
      variable('X', 'everywhere'),
      variable('X', 'environment', { scope: { environment: ['prod'] } }),
      variable('X', 'role', { scope: { 'target-role': ['web'] } }),
      variable('X', 'machine', { scope: { machine: ['web-1'] } }),
      variable('X', 'elsewhere', { scope: { machine: ['web-2'], environment: ['prod'] } }),
    ];
    for (let left = 4; left > 0; left -= 1) {
      const [best] = variablesAt([...all.slice(0, left), all[4]!], target);
      expect(best?.value).toBe(['everywhere', 'environment', 'role', 'machine'][left - 1]);
    }
  });

  it('those that do not apply are ignored, and of equals the newer wins, whatever their order', () => {
    const older = variable('X', 'older');
    const newer = variable('X', 'newer');
    expect(variablesAt([newer, older], target)[0]?.value).toBe('newer');
    expect(variablesAt([variable('Y', 'test', { scope: { environment: ['test'] } })], target)).toEqual([]);
  });
});

describe('values', () => {
  it('expands expressions and marks what contains a secret, at any depth', () => {
    const found = resolve(
      sealed('Password', 'hunter22'),
      variable('Url', 'db://#{Password}@#{Host}'),
      variable('Host', 'db-1'),
      variable('Command', 'connect #{Url | ToUpper}'),
    );
    expect(found.values).toMatchObject({ Url: 'db://hunter22@db-1', Command: 'connect DB://HUNTER22@DB-1' });
    expect(found.sensitiveNames).toEqual(['Command', 'Password', 'Url']);
    expect(found.sensitiveValues).not.toContain('db-1');
  });

  it('a sensitive value reaches the script unchanged, whatever it contains', () => {
    const odd = fc.constantFrom('##{', '#{Host}', '#{Nope}', '#{Self}', '#{if x}', '#{/if}', '}', '$', '\n');
    const secret = fc
      .array(fc.oneof(odd, fc.string({ minLength: 1 })), { minLength: 4 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(secret, (value) => {
        const found = resolve(sealed('Self', value), variable('Host', 'db-1'), variable('Url', 'a#{Self}b'));
        expect(found.values).toMatchObject({ Self: value, Url: `a${value}b` });
        expect(found.sensitiveNames).toEqual(['Self', 'Url']);
      }),
    );
  });

  it('no error quotes a word of a sensitive value', () => {
    const secret = sealed('Password', '#{Canary}#{if Canary}#{each Canary in Canary}#{Password}');
    const bad = [
      [variable('A', '#{Password}#{Missing}')],
      [variable('A', '#{Password}#{A}')],
      [variable('A', '#{if Password}')],
      [variable('A', '#{Password}#{Pass word}')],
      Array.from({ length: 60 }, (_, n) => variable(`V${n}`, n === 59 ? '#{Password}' : `#{V${n + 1}}`)),
    ];
    for (const variables of bad) {
      expect(() => resolve(secret, ...variables)).toThrow(
        expect.not.objectContaining({ message: expect.stringContaining('Canary') as string }),
      );
    }
  });

  it('does not mask a short value that only depends on a secret', () => {
    const found = resolve(sealed('Password', 'hunter22'), variable('HasPassword', '#{if Password}yes#{else}no#{/if}'));
    expect(found.values['HasPassword']).toBe('yes');
    expect(found.sensitiveNames).toEqual(['Password']);
  });

  it.each([
    ['VARIABLE_UNDEFINED', [variable('A', '#{Missing}')]],
    ['VARIABLE_UNDEFINED', [variable('A', '#{each x in Lsit}#{x}#{/each}')]],
    ['VARIABLE_SYNTAX', [variable('A', '#{My Name}')]],
    ['VARIABLE_CYCLE', [variable('A', '#{B}'), variable('B', '#{A}')]],
    ['VARIABLE_TOO_LARGE', Array.from({ length: 60 }, (_, n) => variable(`V${n}`, n === 59 ? 'end' : `#{V${n + 1}}`))],
    [
      'VARIABLE_TOO_LARGE',
      Array.from({ length: 30 }, (_, n) => variable(`W${n}`, n === 29 ? 'x' : `#{W${n + 1}}#{W${n + 1}}`)),
    ],
    ['VARIABLE_TOO_LARGE', Array.from({ length: 20 }, (_, n) => variable(`E${n}`, 'x'.repeat(90 * 1024)))],
  ])('rejects with %s', (code, variables) => {
    expect(() => resolve(...variables)).toThrow(expect.objectContaining({ code }));
  });

  it('become environment variables beside the facts that Isthmus adds', () => {
    const facts = { project: 'shop', release: '1.0', environment: 'prod', machine: 'web-1', task: 't', step: 'web' };
    const environment = scriptEnv({ 'Db.Url': 'x', 'list[0]': 'y' }, facts);
    expect(environment).toMatchObject({ DB_URL: 'x', LIST_0_: 'y', ISTHMUS_PROJECT: 'shop', ISTHMUS_STEP: 'web' });
    expect(sealIdentity('v1')).toBe('variables/v1/value');
  });
});

describe('names', () => {
  it.each([
    'LD_PRELOAD',
    'ld.preload',
    'NODE_OPTIONS',
    'Node-Options',
    'BASH_ENV',
    'PATH',
    'ISTHMUS_TASK',
    'isthmus.task',
    'GIT_SSH',
    'Bash_Func_x',
  ])('rejects %s, which changes how programs run', (name) => {
    expect(() => checkVariableName(name, [])).toThrow(expect.objectContaining({ code: 'VARIABLE_NAME' }));
  });

  it.each(['', '1st', 'has space', 'naïve', 'a=b', 'a\nb', 'x'.repeat(201)])('rejects the malformed %j', (name) => {
    expect(() => checkVariableName(name, [])).toThrow(
      expect.objectContaining({ code: 'VARIABLE_NAME', field: 'name' }),
    );
  });

  it('rejects a second name that scripts would see as the first', () => {
    expect(envName('app.port')).toBe(envName('App-Port'));
    expect(() => checkVariableName('App-Port', ['app.port'])).toThrow(/app\.port/);
    expect(() => checkVariableName('app.port', ['app.port'])).not.toThrow();
  });
});

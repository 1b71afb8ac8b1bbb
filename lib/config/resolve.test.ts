// Settings: the order of sources, and the errors of wrong ones.
import { Type } from 'typebox';
import { describe, expect, it } from 'vitest';
import { IsthmusError } from '../../contract/errors.ts';
import { addressSetting, networksSetting } from './mesh-settings.ts';
import { resolveConfig } from './resolve.ts';
import { nearest } from './suggest.ts';

const schema = Type.Object(
  {
    mesh: Type.Object({ listen: Type.String({ pattern: '^.+:\\d+$' }) }, { additionalProperties: false }),
    healthCheckIntervalS: Type.Integer({ minimum: 1, maximum: 604_800, default: 300 }),
    isolated: Type.Boolean({ default: false }),
    parents: Type.Array(
      Type.Object({ node: Type.String(), address: Type.Optional(Type.String()) }, { additionalProperties: false }),
      { default: [] },
    ),
  },
  { additionalProperties: false },
);

function rejected(text: string): IsthmusError {
  try {
    resolveConfig(schema, { file: { name: 'config.yaml', text }, env: () => undefined });
  } catch (thrown) {
    if (thrown instanceof IsthmusError) return thrown;
    throw thrown;
  }
  throw new Error('was accepted');
}

describe('the order of sources', () => {
  const file = { name: 'config.yaml', text: 'mesh: { listen: "file:1" }\nhealthCheckIntervalS: 10\n' };

  it('takes option before env before file before default', () => {
    const env = (name: string): string | undefined =>
      ({ ISTHMUS_MESH_LISTEN: 'env:1', ISTHMUS_HEALTH_CHECK_INTERVAL_S: '20' })[name];
    expect(resolveConfig(schema, { file, env: () => undefined }).healthCheckIntervalS).toBe(10);
    expect(resolveConfig(schema, { file, env })).toEqual({
      mesh: { listen: 'env:1' },
      healthCheckIntervalS: 20,
      isolated: false,
      parents: [],
    });
    const options = { 'mesh.listen': 'option:1' };
    expect(resolveConfig(schema, { file, env, options }).mesh.listen).toBe('option:1');
  });

  it('names field, option and variable of a missing setting', () => {
    expect(() => resolveConfig(schema, { env: () => undefined })).toThrow(/"mesh" is missing/);
    const partial = { name: 'config.yaml', text: 'mesh: {}\n' };
    expect(() => resolveConfig(schema, { file: partial, env: () => undefined })).toThrow(
      'config.yaml:1: "mesh.listen" is missing (set it there, or with --mesh-listen, or in ISTHMUS_MESH_LISTEN)',
    );
  });

  it('names the variable a wrong value came from', () => {
    const env = (name: string): string | undefined => (name === 'ISTHMUS_HEALTH_CHECK_INTERVAL_S' ? '5m' : undefined);
    expect(() => resolveConfig(schema, { file, env })).toThrow(/^ISTHMUS_HEALTH_CHECK_INTERVAL_S: /);
  });
});

describe('a wrong file', () => {
  const listen = 'mesh: { listen: "a:1" }\n';
  it.each([
    [
      'an unknown key',
      `${listen}isolatd: true\n`,
      'config.yaml:2: "isolatd" is not a setting; did you mean "isolated"?',
      'isolatd',
    ],
    [
      'an unknown key inside',
      'mesh:\n  listen: "a:1"\n  lisen: x\n',
      'config.yaml:3: "mesh.lisen" is not a setting; did you mean "listen"?',
      'mesh.lisen',
    ],
    [
      'an unknown key in a list',
      `${listen}parents:\n  - node: a\n    adress: b\n`,
      'config.yaml:4: "parents.0.adress" is not a setting; did you mean "address"?',
      'parents.0.adress',
    ],
    [
      'a wrong unit',
      `${listen}healthCheckIntervalS: 30s\n`,
      'config.yaml:2: "healthCheckIntervalS" must be a plain number of seconds, without a unit',
      'healthCheckIntervalS',
    ],
    ['a wrong type', `${listen}isolated: 1\n`, 'config.yaml:2: "isolated" must be true or false', 'isolated'],
    [
      'a duplicate key',
      `${listen}isolated: true\nisolated: false\n`,
      'config.yaml:3: the key "isolated" is duplicated',
      'isolated',
    ],
    [
      'an alias',
      `mesh: &m { listen: "a:1" }\nparents: [*m]\n`,
      'config.yaml:1: the anchor &m is not allowed: write the value out',
      undefined,
    ],
    ['a tag', `${listen}isolated: !!js/function x\n`, 'config.yaml:2: ', undefined],
    ['what is not YAML', `${listen}isolated: [\n`, 'config.yaml:', undefined],
    ['what is not a mapping', '- a\n', 'config.yaml:1: settings are "key: value", one a line', undefined],
    [
      'a number that is too large',
      `${listen}healthCheckIntervalS: 9999999\n`,
      'config.yaml:2: "healthCheckIntervalS" must be at most 604800 seconds',
      'healthCheckIntervalS',
    ],
    ['one word', 'hello', 'config.yaml:1: settings are "key: value", one a line', undefined],
    ['an empty file', '', 'config.yaml:1: "mesh" is missing', 'mesh'],
    ['a tab', 'mesh:\n\tlisten: "a:1"\n', 'config.yaml:2: Tabs are not allowed', undefined],
    ['aliases that multiply', 'a: &a [x, x]\nb: [*a, *a]\n', 'config.yaml:1: the anchor &a', undefined],
    ['a merge key', 'b: { x: 1 }\n<<: *b\n', 'config.yaml:', undefined],
    ['a second document', `${listen}---\n${listen}`, 'config.yaml:2: a second document begins here', undefined],
    ['nesting without end', '['.repeat(20_000), 'config.yaml:1: ', undefined],
    [
      'a value that is not there',
      `${listen}isolated:\n`,
      'config.yaml:2: "isolated" must be true or false',
      'isolated',
    ],
    ['a prototype', `${listen}__proto__: { x: 1 }\n`, 'config.yaml:2: "__proto__" is not a setting', '__proto__'],
    ['NUL in a key', `${listen}"a\\0b": 1\n`, 'is not a setting', 'a\0b'],
    ['what is not UTF-8', Buffer.from([0xff, 0xfe, 0, 0x80]).toString(), 'config.yaml:1: settings are ', undefined],
  ])('%s: file, line and key', (_name, text, message, field) => {
    const error = rejected(text);
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toContain(message);
    if (field !== undefined) expect(error.field).toBe(field);
  });
});

it('reads a file with a byte order mark and Windows line ends', () => {
  const text = '\ufeffmesh:\r\n  listen: "a:1"\r\nisolated: true\r\n';
  const config = resolveConfig(schema, { file: { name: 'config.yaml', text }, env: () => undefined });
  expect(config).toMatchObject({ mesh: { listen: 'a:1' }, isolated: true });
});

describe('an address', () => {
  const addresses = Type.Object({ listen: addressSetting('Where.') }, { additionalProperties: false });
  const read = (listen: string): string =>
    resolveConfig(addresses, { env: (name) => (name === 'ISTHMUS_LISTEN' ? listen : undefined) }).listen;

  it.each(['0.0.0.0:8444', '[::1]:1', 'relay.eu.example:65535', 'localhost:0'])('%s', (address) => {
    expect(read(address)).toBe(address);
  });

  it.each(['8444', 'host', 'host:65536', 'host:99999', '::1:8444', ' host:1', 'host:1 ', 'host:0x1', 'host:'])(
    'not "%s": says the variable and what it must be',
    (address) => {
      expect(() => read(address)).toThrow('ISTHMUS_LISTEN: "listen" must be host:port, such as [::]:8444');
    },
  );
});

describe('a list of networks', () => {
  const networks = Type.Object({ proxies: networksSetting('Which.') }, { additionalProperties: false });
  const read = (text: string) => resolveConfig(networks, { file: { name: 'config.yaml', text }, env: () => undefined });

  it('has addresses and networks', () => {
    const proxies = ['10.0.0.5', '10.0.0.0/8', '::1', '2001:db8::/32'];
    expect(read(`proxies: ${JSON.stringify(proxies)}`)).toEqual({ proxies });
  });

  it.each(['proxy.example.org', '10.0.0.0/33', '10.0.0.5/', '', '10.0.0.5:80', '::/129'])(
    'not "%s": says file, line and what it must be',
    (junk) => {
      expect(() => read(`proxies:\n  - 10.0.0.1\n  - ${JSON.stringify(junk)}\n`)).toThrow(
        'config.yaml:3: "proxies.1" must be an address or a network, such as 10.0.0.0/8',
      );
    },
  );

  it('is a list', () => {
    expect(() => read('proxies: 10.0.0.1')).toThrow('config.yaml:1: "proxies" must be a list');
  });
});

it.each(['5m', '1e3', '0x10', '1.5', 'NaN', '99999999999999999999'])('the variable of a number is not %s', (word) => {
  expect(() =>
    resolveConfig(schema, {
      file: { name: 'config.yaml', text: 'mesh: { listen: "a:1" }\n' },
      env: (name) => (name === 'ISTHMUS_HEALTH_CHECK_INTERVAL_S' ? word : undefined),
    }),
  ).toThrow(
    'ISTHMUS_HEALTH_CHECK_INTERVAL_S: "healthCheckIntervalS" must be a plain number of seconds, without a unit',
  );
});

describe('did you mean', () => {
  it('suggests a close word and no other', () => {
    expect(nearest('machne', ['machine', 'mesh'])).toBe('machine');
    expect(nearest('mahcine', ['machine', 'mesh'])).toBe('machine');
    expect(nearest('zebra', ['machine', 'mesh'])).toBeUndefined();
    expect(nearest('stauts', ['start', 'status'])).toBe('status');
    expect(nearest('x', [])).toBeUndefined();
  });
});

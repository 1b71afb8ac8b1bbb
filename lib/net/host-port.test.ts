// One parser of `host:port` everywhere, so that all components accept the same.
import { expect, it } from 'vitest';
import { formatHostPort, hostOf, parseHostPort, requireHostPort } from './host-port.ts';

it.each([
  ['relay.example:8444', 'relay.example', 8444],
  ['10.0.0.5:1', '10.0.0.5', 1],
  ['[::1]:65535', '::1', 65_535],
  ['[::ffff:10.0.0.5]:80', '::ffff:10.0.0.5', 80],
  ['[fe80::1%eth0]:8444', 'fe80::1%eth0', 8444],
  ['0.0.0.0:0', '0.0.0.0', 0],
])('reads %s, and writes it the same', (text, host, port) => {
  expect(parseHostPort(text)).toEqual({ host, port });
  expect(formatHostPort({ host, port })).toBe(text);
});

it.each([
  ...['', ':8444', 'host', 'host:', 'host:-1', 'host:65536', 'host:99999', 'host:1a', 'host:1 ', ' host:1', 'a b:1'],
  ...['::1:8444', '[::1]', '[]:1', '[host]:1', 'x[::1]:1', 'https://host:1', 'host:1/', 'host:1:2', 'host:1\n'],
])('does not read %j', (text) => {
  expect(parseHostPort(text)).toBeUndefined();
});

it('names the wrong field, with the code of its source', () => {
  expect(() => requireHostPort('host', 'address')).toThrow(
    expect.objectContaining({ code: 'INVALID_FIELD', field: 'address', message: '"host" is not host:port' }),
  );
  expect(() => requireHostPort('host', 'api.listen', 'CONFIG_INVALID')).toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID', field: 'api.listen' }),
  );
});

it('returns the host of a URL without brackets', () => {
  expect(['https://[::1]:8443', 'https://host:1'].map((url) => hostOf(new URL(url)))).toEqual(['::1', 'host']);
});

// Which nodes are behind the server, and which ahead.
import { expect, it } from 'vitest';
import { nodeOf } from '../../test/support/topology.ts';
import { versionSkew } from './skew.ts';

it('names active nodes of lower and of higher versions, and none that has not reported', () => {
  const node = (id: string, softwareVersion: string | null, more = {}) =>
    nodeOf(id, 'tentacle', ['server'], { softwareVersion, ...more });
  const nodes = [
    nodeOf('server-1', 'server', [], { softwareVersion: '0.0.1' }),
    node('web-2', '0.1.9'),
    node('web-1', '0.2.0-rc.1'),
    node('same', '0.2.0'),
    node('new', '0.10.0'),
    node('silent', null),
    node('gone', '0.1.0', { state: 'revoked' }),
  ];
  expect(versionSkew(nodes, '0.2.0')).toEqual({ serverVersion: '0.2.0', behind: ['web-1', 'web-2'], ahead: ['new'] });
});

// Pending joins: for which tokens the server still dials.
import { expect, it } from 'vitest';
import { nodeOf, ownLink, topologyOf } from '../../test/support/topology.ts';
import type { Node } from '../store/nodes/nodes.ts';
import type { JoinToken } from '../store/nodes/tokens.ts';
import { stillAwaited } from './dialled-joins.ts';

const now = 1_000_000;
const address = 'web.example:8444';

function token(name: string, dialAddress: string): JoinToken {
  return {
    ...{
      id: name,
      proofKeySealed: '',
      role: 'tentacle',
      site: 'eu',
      environments: [],
      targetRoles: [],
      routes: null,
      address: null,
    },
    ...{ expiresAt: now + 1, boundSpkiSha256: null, boundNode: null, usedAt: null, createdBy: 'test', createdAt: 1 },
    name,
    parents: [{ node: 'eu', dialAddress }],
  };
}

const node = (id: string, role: Node['role'], state: Node['state'], links: object[] = []): Node =>
  nodeOf(id, role, [], { state, report: { links }, lastSeenAt: now - 1 });

function awaited(tokens: readonly JoinToken[], nodes: readonly Node[]): (string | null)[] {
  return stillAwaited(tokens, topologyOf(nodes, { now, own: [ownLink('eu')] })).map(({ name }) => name);
}

it('dials a node that has not joined, and a revoked one that has a new token', () => {
  expect(awaited([token('web-1', address)], [])).toEqual(['web-1']);
  expect(awaited([token('web-1', address)], [node('web-1', 'tentacle', 'revoked')])).toEqual(['web-1']);
});

it('stops once a node has the name, whichever token it used', () => {
  expect(awaited([token('web-1', address)], [node('web-1', 'tentacle', 'active')])).toEqual([]);
});

it('goes on for a node that is linked but not confirmed, which would otherwise lose its link during its join', () => {
  const links = [{ peer: 'web-1', relation: 'child', up: true, dialledBy: 'us', address }];
  expect(awaited([token('web-1', address)], [node('eu', 'relay', 'active', links)])).toEqual(['web-1']);
});

it('leaves out an address at which another node is linked, and dials it once that node is gone', () => {
  const relay = (up: boolean) => [
    node('web-1', 'tentacle', 'active'),
    node('eu', 'relay', 'active', [{ peer: 'web-1', relation: 'child', up, dialledBy: 'us', address }]),
  ];
  expect(awaited([token('web-2', address), token('web-3', 'other.example:8444')], relay(true))).toEqual(['web-3']);
  expect(awaited([token('web-2', address)], relay(false))).toEqual(['web-2']);
});

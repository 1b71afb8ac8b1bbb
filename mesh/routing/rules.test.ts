import { describe, expect, it } from 'vitest';
import type { NodeRole } from '../../contract/nodes.ts';
import { MESH_SERVICES } from '../../contract/services.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { serviceTable } from '../services.ts';
import { routeIncoming, routeOwn, type Neighbour, type RoutingNode } from './rules.ts';
import type { TunnelRequest } from '../tunnel/request.ts';

const server: Neighbour = { node: 'server-1', role: 'server', relation: 'parent' };
const child = (node: string, role: NodeRole): Neighbour => ({ node, role, relation: 'child' });

function node(name: string, role: NodeRole, neighbours: Neighbour[], more: Partial<RoutingNode> = {}): RoutingNode {
  return {
    node: name,
    role,
    relaying: role === 'relay' || role === 'server',
    services: serviceTable(MESH_SERVICES),
    hasParents: neighbours.some((neighbour) => neighbour.relation === 'parent'),
    neighbour: (asked) => neighbours.find((neighbour) => neighbour.node === asked),
    parents: () => neighbours.filter((neighbour) => neighbour.relation === 'parent'),
    canDialUnenrolled: () => false,
    ...more,
  };
}

function request(more: Partial<TunnelRequest>): TunnelRequest {
  return {
    source: 'server-1',
    destination: 't1',
    path: [],
    crossed: [],
    service: 'tentacle',
    serviceClass: 'control',
    deadlineMs: 1000,
    ...more,
  };
}

function denial(run: () => unknown): [string, string | undefined] {
  try {
    run();
  } catch (thrown) {
    const error = IsthmusError.from(thrown);
    return [error.code, error.hop];
  }
  throw new Error('it was not denied');
}

const t1 = child('t1', 'tentacle');
const m1 = child('m1', 'mirror');
const lower = child('eu-pci', 'relay');
const relay = node('eu', 'relay', [server, t1, m1, lower]);

describe('a relay', () => {
  it('takes what comes from above to the child it names', () => {
    expect(routeIncoming(relay, server, request({}))).toEqual({ go: 'neighbour', node: 't1', path: [], others: [] });
    expect(routeIncoming(relay, server, request({ path: ['eu-pci'], destination: 't9' }))).toEqual({
      go: 'neighbour',
      node: 'eu-pci',
      path: [],
      others: [],
    });
  });

  it('says which hop could not go on', () => {
    expect(denial(() => routeIncoming(relay, server, request({ destination: 't7' })))).toEqual(['UNREACHABLE', 'eu']);
    expect(denial(() => routeIncoming(relay, server, request({ path: ['nowhere'] })))).toEqual(['UNREACHABLE', 'eu']);
  });

  it('takes a child up to the server for the services of nodes, and for nothing else', () => {
    for (const service of ['identity', 'topology', 'feed', 'echo', 'enrol']) {
      const up = request({ source: 't1', destination: 'server', service });
      expect(routeIncoming(relay, t1, up)).toEqual({ go: 'neighbour', node: 'server-1', path: [], others: [] });
    }
    const script = request({ source: 't1', destination: 'server', service: 'tentacle' });
    expect(denial(() => routeIncoming(relay, t1, script))[0]).toBe('DIRECTION');
  });

  it('turns a child sideways to a mirror for packages, and to no machine', () => {
    const feed = request({ source: 't1', destination: 'm1', service: 'feed' });
    expect(routeIncoming(relay, t1, feed)).toEqual({ go: 'neighbour', node: 'm1', path: [], others: [] });
    const sideways = request({ source: 'm1', destination: 't1', service: 'tentacle' });
    expect(denial(() => routeIncoming(relay, m1, sideways))[0]).toBe('DIRECTION');
    const echo = request({ source: 'm1', destination: 't1', service: 'echo' });
    expect(denial(() => routeIncoming(relay, m1, echo))[0]).toBe('DIRECTION');
  });

  it('rejects a leaf that speaks in another name, and believes a relay below it', () => {
    const forged = request({ source: 't2', destination: 'server', service: 'identity' });
    expect(denial(() => routeIncoming(relay, t1, forged))[0]).toBe('SOURCE_FORGED');
    expect(routeIncoming(relay, lower, forged).go).toBe('neighbour');
  });

  it('rejects a tunnel that came back, and one that crossed eight nodes', () => {
    expect(denial(() => routeIncoming(relay, server, request({ crossed: ['us', 'eu'] })))[0]).toBe('ROUTE_LOOP');
    expect(denial(() => routeIncoming(relay, server, request({ source: 'eu' })))[0]).toBe('ROUTE_LOOP');
    const long = request({ crossed: ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] });
    expect(denial(() => routeIncoming(relay, server, long))[0]).toBe('HOP_LIMIT');
  });

  it('carries enrolment to a node it dials that has no certificate yet', () => {
    const dialling = node('eu', 'relay', [server], { canDialUnenrolled: (name) => name === 'new' });
    const enrol = request({ destination: 'new', service: 'enrol' });
    expect(routeIncoming(dialling, server, enrol)).toEqual({ go: 'unenrolled', node: 'new' });
    expect(denial(() => routeIncoming(dialling, server, request({ destination: 'new' })))[0]).toBe('UNREACHABLE');
  });
});

describe('a node that has not confirmed its enrolment', () => {
  const joining: Neighbour = { ...child('t3', 'tentacle'), provisional: true };
  const above = node('eu', 'relay', [server, joining]);

  it('goes up to the server to test its path and to confirm, and nowhere else', () => {
    const confirm = request({ source: 't3', destination: 'server', service: 'identity' });
    expect(routeIncoming(above, joining, confirm)).toMatchObject({ go: 'neighbour', node: 'server-1' });
    for (const service of ['topology', 'feed', 'enrol', 'credential']) {
      expect(denial(() => routeIncoming(above, joining, { ...confirm, service }))[0]).toBe('JOIN_UNCONFIRMED');
    }
    expect(denial(() => routeIncoming(above, joining, { ...confirm, destination: 'eu' }))[0]).toBe('JOIN_UNCONFIRMED');
  });

  it('is given nothing, and nothing to carry on', () => {
    const down = request({ destination: 't3' });
    expect(denial(() => routeIncoming(above, server, down))[0]).toBe('JOIN_UNCONFIRMED');
    expect(denial(() => routeIncoming(above, server, { ...down, destination: 't9', path: ['t3'] }))[0]).toBe(
      'JOIN_UNCONFIRMED',
    );
  });
});

describe('a leaf', () => {
  const leaf = node('t1', 'tentacle', [{ node: 'eu', role: 'relay', relation: 'parent' }]);

  it('carries nothing for others', () => {
    const from: Neighbour = { node: 'eu', role: 'relay', relation: 'parent' };
    expect(denial(() => routeIncoming(leaf, from, request({ destination: 't2' })))[0]).toBe('NOT_A_RELAY');
  });

  it('goes to its parent for everything it does not name a path for', () => {
    for (const destination of ['server', 'm1']) {
      const own = request({ source: 't1', destination, service: 'feed' });
      expect(routeOwn(leaf, own)).toEqual({ go: 'neighbour', node: 'eu', path: [], others: [] });
    }
  });

  it('tells no route from a parent that is down', () => {
    const alone = node('t1', 'tentacle', []);
    const up = request({ source: 't1', destination: 'server', service: 'identity' });
    expect(denial(() => routeOwn(alone, up))).toEqual(['NO_ROUTE', 't1']);
    const cut = node('t1', 'tentacle', [], { hasParents: true });
    expect(denial(() => routeOwn(cut, up))).toEqual(['UNREACHABLE', 't1']);
  });
});

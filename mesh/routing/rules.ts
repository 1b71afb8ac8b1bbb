// Where a tunnel goes next, and whether it may: pure rules, the same at every hop. A node knows only its neighbours;
// the initiator of a tunnel names its path.
import type { NodeRole } from '../../contract/nodes.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { MAX_HOPS } from '../limits.ts';
import type { ServiceTable } from '../services.ts';
import type { TunnelRequest } from '../tunnel/request.ts';

/** What the rules need to know about a neighbour. */
export interface Neighbour {
  readonly node: string;
  readonly role: NodeRole;
  /** What the neighbour is to this node. */
  readonly relation: 'parent' | 'child';
  /** Set while its enrolment is not confirmed. */
  readonly provisional?: true;
}

export interface RoutingNode {
  readonly node: string;
  readonly role: NodeRole;
  readonly relaying: boolean;
  readonly services: ServiceTable;
  /** A neighbour whose link is up. */
  neighbour(node: string): Neighbour | undefined;
  /** The parents whose links are up, in order of preference. */
  parents(): readonly Neighbour[];
  readonly hasParents: boolean;
  /** Whether this node has an address at which to dial a node that has no certificate yet. */
  canDialUnenrolled(node: string): boolean;
}

export type Decision =
  | { readonly go: 'here' }
  | {
      readonly go: 'neighbour';
      readonly node: string;
      readonly path: readonly string[];
      /** Other neighbours that lead to the destination, for failover. */
      readonly others: readonly string[];
    }
  /** The destination has no certificate yet and is dialled at its address. */
  | { readonly go: 'unenrolled'; readonly node: string };

/** Routes a tunnel that this node opens. */
export function routeOwn(self: RoutingNode, request: TunnelRequest): Decision {
  if (isHere(self, request)) return { go: 'here' };
  return nextHop(self, request);
}

/** Routes a tunnel that came in from a neighbour; throws the denial. */
export function routeIncoming(self: RoutingNode, from: Neighbour, request: TunnelRequest): Decision {
  if ((from.role === 'tentacle' || from.role === 'mirror') && request.source !== from.node) {
    throw new IsthmusError('SOURCE_FORGED', `${from.node} opened a tunnel in the name of ${request.source}`);
  }
  const toServer = request.destination === 'server' || (self.role === 'server' && isHere(self, request));
  if (from.provisional && !(toServer && self.services.get(request.service)?.unconfirmed === true)) {
    throw new IsthmusError('JOIN_UNCONFIRMED', `${from.node} has to confirm its enrolment first`);
  }
  if (request.crossed.includes(self.node) || request.source === self.node) {
    throw new IsthmusError('ROUTE_LOOP', `the tunnel has crossed ${self.node} already`);
  }
  if (isHere(self, request)) {
    if (from.relation === 'child') checkUpward(self, request);
    return { go: 'here' };
  }
  if (!self.relaying) {
    throw new IsthmusError('NOT_A_RELAY', `${self.node} does not forward tunnels`);
  }
  if (request.crossed.length >= MAX_HOPS) {
    throw new IsthmusError('HOP_LIMIT', `the tunnel has crossed ${request.crossed.length} nodes`);
  }
  if (from.relation === 'child') checkUpward(self, request);
  const decision = nextHop(self, request);
  if (from.relation === 'child') checkSideways(self, request, decision);
  return decision;
}

function isHere(self: RoutingNode, request: TunnelRequest): boolean {
  if (request.path.length > 0) return false;
  return request.destination === self.node || (request.destination === 'server' && self.role === 'server');
}

/** From a child, tunnels go up to the server or sideways to a mirror, never down to where scripts run. */
function checkUpward(self: RoutingNode, request: TunnelRequest): void {
  const towards = request.destination === 'server' || self.role === 'server' ? 'server' : 'mirror';
  if (!mayComeFromBelow(self, request, towards)) {
    throw new IsthmusError(
      'DIRECTION',
      `a tunnel from below may not open ${request.service} on ${request.destination}`,
    );
  }
}

/**
 * Checks a tunnel from one child to another: below, only a mirror or the next relay towards one may be its next hop.
 */
function checkSideways(self: RoutingNode, request: TunnelRequest, decision: Decision): void {
  const next = decision.go === 'neighbour' ? self.neighbour(decision.node) : undefined;
  if (next?.relation === 'parent') return;
  const towardsMirror = next !== undefined && (next.role === 'mirror' || (next.role === 'relay' && isOnward(request)));
  if (!towardsMirror || !mayComeFromBelow(self, request, 'mirror')) {
    throw new IsthmusError('DIRECTION', `a tunnel from below may not go down to ${request.destination}`);
  }
}

function mayComeFromBelow(self: RoutingNode, { service }: TunnelRequest, towards: 'server' | 'mirror'): boolean {
  return self.services.get(service)?.fromBelowTo.includes(towards) === true;
}

function isOnward(request: TunnelRequest): boolean {
  return request.path.length > 0 && request.destination !== 'server';
}

function nextHop(self: RoutingNode, request: TunnelRequest): Decision {
  const [first, ...rest] = request.path;
  if (first !== undefined) return toNeighbour(self, first, rest);
  if (request.destination === 'server') return toParent(self, request);
  if (self.neighbour(request.destination) !== undefined) return toNeighbour(self, request.destination, []);
  if (request.service === 'enrol' && self.canDialUnenrolled(request.destination)) {
    return { go: 'unenrolled', node: request.destination };
  }
  // A leaf knows only its parents: a destination without a path is another child of the same parent.
  if (!self.relaying && self.role !== 'server') return toParent(self, request);
  return toNeighbour(self, request.destination, []);
}

function toNeighbour(self: RoutingNode, node: string, path: readonly string[]): Decision {
  const next = self.neighbour(node);
  if (next === undefined) {
    throw new IsthmusError('UNREACHABLE', `${self.node} has no live link to ${node}`, { hop: self.node });
  }
  if (next.provisional) throw new IsthmusError('JOIN_UNCONFIRMED', `${node} has not confirmed its enrolment`);
  return { go: 'neighbour', node, path, others: [] };
}

function toParent(self: RoutingNode, request: TunnelRequest): Decision {
  const [parent, ...others] = self.parents();
  if (parent !== undefined) {
    return { go: 'neighbour', node: parent.node, path: [], others: others.map(({ node }) => node) };
  }
  if (!self.hasParents) {
    throw new IsthmusError('NO_ROUTE', `${self.node} has no route to ${request.destination}`, { hop: self.node });
  }
  throw new IsthmusError('UNREACHABLE', `${self.node} has no live link to a parent`, { hop: self.node });
}

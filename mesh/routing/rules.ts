// Where a tunnel goes next, and whether it may: pure rules, the same at every hop. A node knows its neighbours only;
// paths come from whoever opens the tunnel.
import type { Role } from '../../certs/peer.ts';
import { IsthmusError } from '../../lib/errors.ts';
import { maxHops } from '../limits.ts';
import type { TunnelRequest } from '../tunnel/request.ts';

/** What the rules must know of a neighbour. */
export interface Neighbour {
  readonly node: string;
  readonly role: Role;
  /** What it is to this node. */
  readonly relation: 'parent' | 'child';
  /** It has enrolled and not confirmed yet. */
  readonly provisional?: true;
}

export interface RoutingNode {
  readonly node: string;
  readonly role: Role;
  readonly relaying: boolean;
  /** A neighbour whose link is up. */
  neighbour(node: string): Neighbour | undefined;
  /** The parents whose links are up, in order of preference. */
  parents(): readonly Neighbour[];
  readonly hasParents: boolean;
  /** Whether a node that has no certificate yet can be dialled at an address this node was given. */
  canDialUnenrolled(node: string): boolean;
}

export type Decision =
  | { readonly go: 'here' }
  | {
      readonly go: 'neighbour';
      readonly node: string;
      readonly path: readonly string[];
      /** Neighbours that lead there as well, for when this one cannot go on. */
      readonly others: readonly string[];
    }
  /** To a node that has no certificate yet, at its address. */
  | { readonly go: 'unenrolled'; readonly node: string };

/** What a child may ask of the nodes above it. */
const upwardServices = new Set(['identity', 'topology', 'feed', 'echo', 'enrol', 'credential']);
/** What a child may ask of a mirror, turning round at a relay. */
const sidewaysServices = new Set(['feed', 'echo', 'credential']);

/** What a node may ask of the server before it has confirmed its enrolment: to try its ways there, and to confirm. */
export const joiningServices: ReadonlySet<string> = new Set(['echo', 'identity']);

/** Decides about a tunnel that this node opens itself. */
export function routeOwn(self: RoutingNode, request: TunnelRequest): Decision {
  if (isHere(self, request)) return { go: 'here' };
  return nextHop(self, request);
}

/** Decides about a tunnel that came in from a neighbour; throws the denial. */
export function routeIncoming(self: RoutingNode, from: Neighbour, request: TunnelRequest): Decision {
  if ((from.role === 'tentacle' || from.role === 'mirror') && request.source !== from.node) {
    throw new IsthmusError('SOURCE_FORGED', `${from.node} opened a tunnel in the name of ${request.source}`);
  }
  const toServer = request.destination === 'server' || (self.role === 'server' && isHere(self, request));
  if (from.provisional && !(toServer && joiningServices.has(request.service))) {
    throw new IsthmusError('JOIN_UNCONFIRMED', `${from.node} may do nothing but confirm its enrolment`);
  }
  if (request.crossed.includes(self.node) || request.source === self.node) {
    throw new IsthmusError('ROUTE_LOOP', `the tunnel has crossed ${self.node} already`);
  }
  if (isHere(self, request)) {
    if (from.relation === 'child') checkUpward(self, request);
    return { go: 'here' };
  }
  if (!self.relaying) {
    throw new IsthmusError('NOT_A_RELAY', `${self.node} carries no tunnels for others`);
  }
  if (request.crossed.length >= maxHops) {
    throw new IsthmusError('HOP_LIMIT', `the tunnel has crossed ${request.crossed.length} nodes`);
  }
  if (from.relation === 'child') checkUpward(self, request);
  const decision = nextHop(self, request);
  if (from.relation === 'child') checkTurn(self, request, decision);
  return decision;
}

function isHere(self: RoutingNode, request: TunnelRequest): boolean {
  if (request.path.length > 0) return false;
  return request.destination === self.node || (request.destination === 'server' && self.role === 'server');
}

/** From a child, tunnels go to the server, or sideways to a mirror; never down to where scripts run. */
function checkUpward(self: RoutingNode, request: TunnelRequest): void {
  const allowed = request.destination === 'server' || self.role === 'server' ? upwardServices : sidewaysServices;
  if (!allowed.has(request.service)) {
    throw new IsthmusError(
      'DIRECTION',
      `a tunnel from below may not open ${request.service} on ${request.destination}`,
    );
  }
}

/** A tunnel from one child to another turns round here: only a mirror, or the next relay towards one, may be below. */
function checkTurn(self: RoutingNode, request: TunnelRequest, decision: Decision): void {
  const next = decision.go === 'neighbour' ? self.neighbour(decision.node) : undefined;
  if (next?.relation === 'parent') return;
  const towardsMirror = next !== undefined && (next.role === 'mirror' || (next.role === 'relay' && isOnward(request)));
  if (!towardsMirror || !sidewaysServices.has(request.service)) {
    throw new IsthmusError('DIRECTION', `a tunnel from below may not go down to ${request.destination}`);
  }
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
  // A leaf knows nobody but its parents: what it names without a path is beside it, below the same parent.
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
    throw new IsthmusError('NO_ROUTE', `${self.node} has no way to ${request.destination}`, { hop: self.node });
  }
  throw new IsthmusError('UNREACHABLE', `${self.node} has no live link to a parent`, { hop: self.node });
}

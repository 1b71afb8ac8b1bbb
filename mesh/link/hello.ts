// The first message each way on a link, and what may come of it: who may be whose parent, and which session wins.
import type { PeerIdentity, Role } from '../../certs/peer.ts';
import { IsthmusError } from '../../lib/errors.ts';
import type { Hello, Hello__Output } from '../../proto/gen/isthmus/mesh/v1/Hello.ts';
import { agreeOnWireVersion, saidVersions, wireVersions } from '../wire-version.ts';

export type Relation = 'parent' | 'child';

export interface HelloFacts {
  /** The version that both sides speak on this link. */
  readonly wireVersion: number;
  /** What the sender is to the receiver. */
  readonly relation: Relation;
  readonly epoch: number;
  readonly sessionId: Buffer;
  readonly revocationsVersion: number;
  readonly softwareVersion: string;
}

export function encodeHello(facts: Omit<HelloFacts, 'wireVersion'>): Hello {
  return {
    oldestWireVersion: wireVersions.oldest,
    newestWireVersion: wireVersions.newest,
    relation: facts.relation === 'parent' ? 'PARENT' : 'CHILD',
    sessionEpoch: facts.epoch,
    sessionId: facts.sessionId,
    revocationsVersion: facts.revocationsVersion,
    softwareVersion: facts.softwareVersion,
  };
}

/** Reads a hello; a peer that speaks none of this node's wire versions is refused with both ranges. */
export function decodeHello(hello: Hello__Output, peer: string): HelloFacts {
  const wireVersion = agreeOnWireVersion(saidVersions(hello.oldestWireVersion, hello.newestWireVersion), peer);
  if (hello.relation === 'RELATION_UNSPECIFIED' || hello.sessionId.length !== 16) {
    throw new IsthmusError('PROTOCOL', `the hello of ${peer} is malformed`);
  }
  return {
    wireVersion,
    relation: hello.relation === 'PARENT' ? 'parent' : 'child',
    epoch: hello.sessionEpoch,
    sessionId: hello.sessionId,
    revocationsVersion: hello.revocationsVersion,
    softwareVersion: hello.softwareVersion.slice(0, 64),
  };
}

export interface RelationRules {
  readonly role: Role;
  /** The node ids (or 'server') that the configuration names as parents. */
  readonly parents: readonly string[];
}

/** Whether `peer` may be `claimed` to this node; throws LINK_REFUSED when not. */
export function checkRelation(self: RelationRules, peer: PeerIdentity, claimed: Relation): void {
  const refuse = (why: string): never => {
    throw new IsthmusError('LINK_REFUSED', `${peer.node} (${peer.role}) may not be this node's ${claimed}: ${why}`);
  };
  if (claimed === 'parent') {
    if (peer.provisional) refuse('it has not confirmed its enrolment');
    if (self.role === 'server') refuse('a server has no parent');
    if (peer.role === 'server') return;
    if (peer.role !== 'relay') refuse('only servers and relays are parents');
    if (!self.parents.includes(peer.node)) refuse('it is not named among the parents');
    return;
  }
  if (self.role !== 'server' && self.role !== 'relay') refuse(`a ${self.role} has no children`);
  if (peer.role === 'server') refuse('a server is always the parent');
  if (self.parents.includes(peer.node)) refuse('it is named among the parents');
}

let lastEpoch = 0;

/** Epochs rise within a process by counting and across restarts by the clock. */
export function nextEpoch(nowMs: number = Date.now()): number {
  lastEpoch = Math.max(lastEpoch + 1, nowMs);
  return lastEpoch;
}

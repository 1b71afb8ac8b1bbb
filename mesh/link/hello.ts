// The first message each way on a link: the wire version, the peer relation (who may be whose parent), and the epoch by
// which the newest session wins.
import type { PeerIdentity } from '../../certs/peer.ts';
import type { NodeStart } from '../../certs/starts.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { Hello, Hello__Output } from '../../proto/gen/isthmus/mesh/v1/Hello.ts';
import { decodeStart, encodeStart } from '../starts.ts';
import { agreeOnWireVersion, WIRE_VERSIONS } from '../wire-version.ts';

export type Relation = 'parent' | 'child';

export interface HelloFacts {
  /** The version that both sides use on this link. */
  readonly wireVersion: number;
  /** What the sender is to the receiver. */
  readonly relation: Relation;
  readonly epoch: number;
  readonly sessionId: Buffer;
  readonly revocationsVersion: number;
  readonly softwareVersion: string;
  /** Of the sender's process; servers tell none. */
  readonly start: NodeStart | undefined;
}

export function encodeHello(facts: Omit<HelloFacts, 'wireVersion'>): Hello {
  return {
    oldestWireVersion: WIRE_VERSIONS.oldest,
    newestWireVersion: WIRE_VERSIONS.newest,
    relation: facts.relation === 'parent' ? 'PARENT' : 'CHILD',
    sessionEpoch: facts.epoch,
    sessionId: facts.sessionId,
    revocationsVersion: facts.revocationsVersion,
    softwareVersion: facts.softwareVersion,
    start: encodeStart(facts.start),
  };
}

/** Reads a hello. WIRE_VERSION, with both ranges, when the peer speaks none of this node's versions. */
export function decodeHello(hello: Hello__Output, peer: string): HelloFacts {
  const theirs = { oldest: hello.oldestWireVersion, newest: hello.newestWireVersion };
  const wireVersion = agreeOnWireVersion(theirs, peer);
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
    start: decodeStart(hello.start, peer),
  };
}

/** What the peer relation is judged by. */
export interface RelationRules {
  readonly role: NodeRole;
  /** The node ids (or 'server') that are configured as parents. */
  readonly parents: readonly string[];
}

/** Checks that `peer` may be what it claims to be to this node, parent or child; LINK_DENIED when not. */
export function checkRelation(self: RelationRules, peer: PeerIdentity, claimed: Relation): void {
  const deny = (why: string): never => {
    throw new IsthmusError('LINK_DENIED', `${peer.node} (${peer.role}) may not be this node's ${claimed}: ${why}`);
  };
  if (claimed === 'parent') {
    if (peer.provisional) deny('it has not confirmed its enrolment');
    if (self.role === 'server') deny('a server has no parent');
    if (peer.role === 'server') return;
    if (peer.role !== 'relay') deny('only servers and relays are parents');
    if (!self.parents.includes(peer.node)) deny('it is not named among the parents');
    return;
  }
  if (self.role !== 'server' && self.role !== 'relay') deny(`a ${self.role} has no children`);
  if (peer.role === 'server') deny('a server is always the parent');
  if (self.parents.includes(peer.node)) deny('it is named among the parents');
}

let lastEpoch = 0;

/** The next epoch: it rises by counting within a process, and by the clock across restarts. */
export function nextEpoch(nowMs: number = Date.now()): number {
  lastEpoch = Math.max(lastEpoch + 1, nowMs);
  return lastEpoch;
}

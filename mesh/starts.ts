// The start of a node's process as it is told in the hello of a link and in the first message of an end-to-end session,
// and what a server decides by it. Two processes of one node (a copied folder, a machine that was restored from a
// snapshot) differ in their starts.
import { MAX_NONCES, NONCE_BYTES, type NodeStart } from '../certs/starts.ts';
import type { PeerIdentity } from '../certs/peer.ts';
import { IsthmusError } from '../contract/errors.ts';
import type { NodeStart as NodeStartMessage, NodeStart__Output } from '../proto/gen/isthmus/mesh/v1/NodeStart.ts';

/** A start that a peer tells, and where it came from. */
export interface ToldStart {
  readonly peer: PeerIdentity;
  readonly start: NodeStart | undefined;
  /** The node at the other end of the last link: the peer itself, or a relay. */
  readonly via: string;
  /** The peer's address, where the first node that it crossed has told it. */
  readonly address?: string | undefined;
}

/** The live end-to-end sessions of a node by the start that its process told. */
export interface StartSessions {
  /** Waits until no session of this start is live; false when one outlasts the time in which a dead one is noticed. */
  ended(node: string, nonce: string): Promise<boolean>;
}

/** Which start of each node may act as it. */
export interface StartPolicy {
  /** Admits a start; NODE_CLONED when another one acts as the node. */
  admit(told: ToldStart, sessions: StartSessions): Promise<void>;
  /** Whether this start is still the one that was admitted last. */
  isCurrent(node: string, nonce: string): boolean;
}

/** The start of a second process of a node that was denied. */
export interface DeniedStart {
  readonly node: string;
  readonly nonce: string;
  readonly hostname: string;
  readonly address: string;
}

const MAX_HOSTNAME_CHARACTERS = 255;

export function encodeStart(start: NodeStart | undefined): NodeStartMessage | null {
  if (start === undefined) return null;
  const { count, nonces, ofThisFolder, hostname } = start;
  return { count, nonces: nonces.map((nonce) => Buffer.from(nonce, 'hex')), ofThisFolder, hostname };
}

/** Reads a start; PROTOCOL when it is malformed. */
export function decodeStart(message: NodeStart__Output | null, peer: string): NodeStart | undefined {
  if (message === null) return undefined;
  const [newest, ...older] = message.nonces.map((nonce) => nonce.toString('hex'));
  const wellFormed =
    message.nonces.length <= MAX_NONCES && message.nonces.every((nonce) => nonce.length === NONCE_BYTES);
  if (newest === undefined || !wellFormed) throw new IsthmusError('PROTOCOL', `the start of ${peer} is malformed`);
  const hostname = message.hostname.slice(0, MAX_HOSTNAME_CHARACTERS).toWellFormed();
  return { count: message.count, nonces: [newest, ...older], ofThisFolder: message.ofThisFolder, hostname };
}

/** The error of a second process of a node. */
export function cloned(node: string, detail: string): IsthmusError {
  return new IsthmusError('NODE_CLONED', detail, { action: { code: 'REACTIVATE_NODE', arguments: { node } } });
}

// What every link session needs from its node, and the part of the handshake that both sides share.
import type { PeerIdentity } from '../../certs/peer.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { AttachFrame__Output } from '../../proto/gen/isthmus/mesh/v1/AttachFrame.ts';
import type { Trust } from '../trust.ts';
import type { HelloFacts, RelationRules } from './hello.ts';
import type { ToldStart } from '../starts.ts';
import { nextFrame } from '../tunnel/next-frame.ts';
import type { AttachStream, SessionContext } from './session.ts';

export interface LinkContext extends SessionContext {
  readonly trust: Trust;
  readonly self: RelationRules & { readonly node: string; readonly role: NodeRole };
  readonly softwareVersion: string;
  /** HTTP/2 window of one control tunnel: it bounds what a stalled one keeps in this process's memory. */
  readonly windowBytes: number;
  readonly log: Logger;
  /** Decides, before a child's session replaces the one before, whether its process may act as that child. */
  admitStart(told: ToldStart): Promise<void>;
  helloFacts(peer: PeerIdentity): Pick<HelloFacts, 'revocationsVersion' | 'softwareVersion' | 'start'>;
}

/** The side with the newer revocation list sends it. The link comes up only when both have it. */
export async function exchangeRevocations(
  context: LinkContext,
  attach: AttachStream,
  peer: PeerIdentity,
  hello: HelloFacts,
  signal: AbortSignal,
): Promise<void> {
  const { revocations } = context.trust;
  const own = revocations.encode();
  if (own !== undefined && revocations.version > hello.revocationsVersion) attach.write({ revocations: own });
  if (revocations.version >= hello.revocationsVersion) return;
  const frame = await nextFrame<AttachFrame__Output>(attach, signal, peer.node);
  if (!frame.revocations || revocations.merge(frame.revocations) === 'invalid') {
    throw new IsthmusError('PROTOCOL', `${peer.node} announced a revocation list and did not send a valid one`);
  }
  if (revocations.isRevoked(peer)) {
    throw new IsthmusError('PEER_CERTIFICATE_REVOKED', `the certificate of ${peer.node} is revoked`);
  }
}

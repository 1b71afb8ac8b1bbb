// Reads the orders that a server signs for this mirror.
import { SKEW_MS, verifyEnvelope, type EnvelopeKind } from '../certs/signer.ts';
import { IsthmusError } from '../contract/errors.ts';
import type { NodeRuntime } from '../node/runtime.ts';
import type { EnvelopeRequest__Output } from '../proto/gen/isthmus/tentacle/v1/EnvelopeRequest.ts';

/** The payload of an order of a kind. */
export type ReadOrder = (request: EnvelopeRequest__Output, kind: EnvelopeKind) => Buffer;

/**
 * Reads orders that are for this node, of the kind that is asked for and not too old: BAD_TASK_SIGNATURE,
 * WRONG_RECIPIENT, ENVELOPE_KIND or TICKET_TOO_OLD otherwise.
 */
export function orderReader({ identity, revocations }: Pick<NodeRuntime, 'identity' | 'revocations'>): ReadOrder {
  return ({ envelope }, kind) => {
    const trust = identity.current();
    const { expiresAtMs, payload } = verifyEnvelope(envelope, trust, { self: trust.node, kind, revocations });
    if (Date.now() <= expiresAtMs + SKEW_MS) return payload;
    throw new IsthmusError('TICKET_TOO_OLD', `the order expired at ${new Date(expiresAtMs).toISOString()}`);
  };
}

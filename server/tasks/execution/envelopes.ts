// Builds the signed envelope of a ticket. Every sending has a new one with the present epoch: the tentacle recognises
// repeats by the ticket and stale owners by the epoch.
import type { EnvelopeContent } from '../../../certs/signer.ts';
import { loadDefinitions, messageCodec } from '../../../lib/grpc/load.ts';
import type { Envelope } from '../../../proto/gen/isthmus/tentacle/v1/Envelope.ts';
import type { PackagePayload } from '../../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import type { ScriptPayload } from '../../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import type { Fence } from '../../store/base.ts';
import type { Ticket } from '../../store/tasks/tickets.ts';

/** Signs with this server node's own key; the envelope carries the authority's statement about that key. */
export type SignEnvelope = (content: EnvelopeContent) => Envelope;

/** What a ticket's tentacle does. */
export type TicketWork =
  | { readonly kind: 'script'; readonly payload: ScriptPayload }
  | { readonly kind: 'acquire' | 'stage' | 'activate' | 'settle'; readonly payload: PackagePayload }
  | { readonly kind: 'cancel'; readonly payload: { readonly reason: string } };

/** Bounds one sending; a repeated one is signed again. Tentacles allow 5 minutes of clock skew. */
const VALID_FOR_MS = 120_000;

const types = loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1;
const scripts = messageCodec(types.ScriptPayload);
const packages = messageCodec(types.PackagePayload);
const cancels = messageCodec(types.CancelPayload);

/** The envelope of one sending of `ticket`. What begins something expires at the task's deadline at the latest. */
export function buildEnvelope(
  sign: SignEnvelope,
  ticket: Pick<Ticket, 'id' | 'executor'>,
  fence: Fence,
  deadlineAt: number,
  work: TicketWork,
): Envelope {
  const soon = Date.now() + VALID_FOR_MS;
  return sign({
    tentacle: ticket.executor,
    ticket: ticket.id,
    task: fence.task,
    epoch: fence.epoch,
    expiresAtMs: work.kind === 'cancel' || work.kind === 'settle' ? soon : Math.min(soon, deadlineAt),
    kind: work.kind,
    payload: encode(work),
  });
}

function encode(work: TicketWork): Buffer {
  if (work.kind === 'script') return scripts.encode(work.payload);
  return work.kind === 'cancel' ? cancels.encode(work.payload) : packages.encode(work.payload);
}

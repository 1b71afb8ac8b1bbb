// The package methods of the tentacle's gRPC service: opens the signed envelope, rejects stale owners, uses tickets up,
// streams progress.
import type { ServerWritableStream } from '@grpc/grpc-js';
import { SKEW_MS } from '../../certs/signer.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { loadDefinitions, messageCodec } from '../../lib/grpc/load.ts';
import type { AcquireProgress as ProgressMessage } from '../../proto/gen/isthmus/tentacle/v1/AcquireProgress.ts';
import type { EnvelopeRequest__Output } from '../../proto/gen/isthmus/tentacle/v1/EnvelopeRequest.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import type { PackageAction } from '../journal/records.ts';
import type { OpenEnvelope, PackageHandlers } from '../service.ts';
import type { AcquireProgress } from './acquire.ts';
import type { Packages } from './packages.ts';
import type { PackageTicketKey, UsedTickets } from './used-tickets.ts';
import type { Withdrawals } from './withdrawals.ts';

export interface PackageHandlerDeps {
  readonly packages: Packages;
  readonly usedTickets: UsedTickets;
  readonly withdrawals: Withdrawals;
  readonly openEnvelope: OpenEnvelope;
  /** Throws STALE_EPOCH for a caller that no longer owns the task. */
  readonly checkEpoch: (task: string, epoch: number) => Promise<void>;
}

const payloadCodec = messageCodec(
  loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1.PackagePayload,
);
/** Often enough for a progress bar. */
const PROGRESS_EVERY_MS = 250;

/** The package methods of the Tentacle service. */
export function packageHandlers(deps: PackageHandlerDeps): PackageHandlers {
  const { packages, usedTickets, withdrawals } = deps;
  return {
    AcquirePackage: async (call) => acquire(deps, await open(deps, call.request, 'acquire'), call),
    StagePackage: async (call, caller) => {
      const { key, payload } = await open(deps, call.request, 'stage');
      const stage = (signal: AbortSignal) =>
        usedTickets.once(key, {
          work: () => packages.stage(payload, key.task, signal),
          again: () => packages.status(payload, key.task),
          signal,
        });
      return withdrawals.run(key.ticket, stage, { call, caller });
    },
    ActivatePackage: async ({ request }) => {
      const { key, payload } = await open(deps, request, 'activate');
      // Only an order to cancel withdraws it: its answer tells what is installed.
      return withdrawals.run(key.ticket, (signal) =>
        usedTickets.once(key, {
          work: () => packages.activate(payload, key.task, signal),
          again: () => packages.status(payload, key.task),
          signal,
        }),
      );
    },
    SettlePackage: async ({ request }) => {
      const { key, payload } = await open(deps, request, 'settle');
      return usedTickets.once(key, {
        work: () => packages.settle(payload, key.task),
        again: () => packages.status(payload, key.task),
      });
    },
  };
}

/** A verified order, and the ticket that it uses. */
interface Order {
  readonly key: PackageTicketKey;
  readonly payload: PackagePayload__Output;
}

async function open(
  { openEnvelope, checkEpoch }: PackageHandlerDeps,
  { envelope }: EnvelopeRequest__Output,
  kind: PackageAction,
): Promise<Order> {
  const { ticket, task, epoch, expiresAtMs, payload } = openEnvelope(envelope, kind);
  if (Date.now() > expiresAtMs + SKEW_MS) {
    throw new IsthmusError(
      'ENVELOPE_EXPIRED',
      `the order to ${kind} expired at ${new Date(expiresAtMs).toISOString()}`,
    );
  }
  await checkEpoch(task, epoch);
  return { key: { ticket, task, action: kind }, payload: payloadCodec.decode(payload) };
}

/** Idempotent by digest, so that only its success uses the ticket up: the server tries a failed one again. */
async function acquire(
  { packages, usedTickets }: PackageHandlerDeps,
  { key, payload }: Order,
  call: ServerWritableStream<EnvelopeRequest__Output, ProgressMessage>,
): Promise<void> {
  const gone = new AbortController();
  call.on('cancelled', () => gone.abort());
  call.on('error', () => gone.abort());
  if (call.cancelled) gone.abort();
  let sentMs = -PROGRESS_EVERY_MS;
  const send = (progress: AcquireProgress) => {
    const nowMs = performance.now();
    if (nowMs - sentMs < PROGRESS_EVERY_MS) return;
    sentMs = nowMs;
    call.write(toMessage(progress));
  };
  if (usedTickets.isUsed(key)) call.write(toMessage(packages.acquired(payload)));
  else {
    const acquired = await packages.acquire(payload, key.task, { onProgress: send, signal: gone.signal });
    await usedTickets.use(key);
    call.write(toMessage(acquired));
  }
  call.end();
}

function toMessage({ failed, ...progress }: AcquireProgress): ProgressMessage {
  return { ...progress, failed: failed.map(({ node, code, detail }) => ({ node, code, detail })) };
}

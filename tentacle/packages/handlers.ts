// The package methods of the tentacle's gRPC service: opens the signed envelope, rejects stale owners, streams
// progress.
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { EnvelopeKind } from '../../certs/signer.ts';
import { SKEW_MS } from '../../certs/signer.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { loadDefinitions, messageCodec } from '../../lib/grpc/load.ts';
import type { AcquireProgress as ProgressMessage } from '../../proto/gen/isthmus/tentacle/v1/AcquireProgress.ts';
import type { EnvelopeBody__Output } from '../../proto/gen/isthmus/tentacle/v1/EnvelopeBody.ts';
import type { EnvelopeRequest__Output } from '../../proto/gen/isthmus/tentacle/v1/EnvelopeRequest.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import type { OpenEnvelope, PackageHandlers } from '../service.ts';
import type { AcquireProgress } from './acquire.ts';
import type { Packages } from './packages.ts';

export interface PackageHandlerDeps {
  readonly packages: Packages;
  readonly openEnvelope: OpenEnvelope;
  /** Throws STALE_EPOCH for a caller that no longer owns the task. */
  readonly checkEpoch: (task: string, epoch: number) => Promise<void>;
}

const payloadCodec = messageCodec(
  loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1.PackagePayload,
);
/** Often enough for a progress bar. */
const PROGRESS_EVERY_MS = 250;

/** The three package methods of the Tentacle service. */
export function packageHandlers(deps: PackageHandlerDeps): PackageHandlers {
  const { packages } = deps;
  return {
    AcquirePackage: async (call) => acquire(packages, (await open(deps, call.request, 'acquire')).payload, call),
    StagePackage: async ({ request }) => {
      const { payload, task } = await open(deps, request, 'stage');
      return packages.stage(payload, task);
    },
    ActivatePackage: async ({ request }) => {
      const { payload, task } = await open(deps, request, 'activate');
      return packages.activate(payload, task);
    },
  };
}

async function open(
  { openEnvelope, checkEpoch }: PackageHandlerDeps,
  { envelope }: EnvelopeRequest__Output,
  kind: EnvelopeKind,
): Promise<Pick<EnvelopeBody__Output, 'task'> & { readonly payload: PackagePayload__Output }> {
  const { task, epoch, expiresAtMs, payload } = openEnvelope(envelope, kind);
  if (Date.now() > expiresAtMs + SKEW_MS) {
    throw new IsthmusError(
      'ENVELOPE_EXPIRED',
      `the order to ${kind} expired at ${new Date(expiresAtMs).toISOString()}`,
    );
  }
  await checkEpoch(task, epoch);
  return { task, payload: payloadCodec.decode(payload) };
}

async function acquire(
  packages: Packages,
  payload: PackagePayload__Output,
  call: ServerWritableStream<EnvelopeRequest__Output, ProgressMessage>,
): Promise<void> {
  const gone = new AbortController();
  call.on('cancelled', () => gone.abort());
  call.on('error', () => gone.abort());
  if (call.cancelled) gone.abort();
  let sentAtMs = 0;
  const send = (progress: AcquireProgress) => {
    const now = Date.now();
    if (now - sentAtMs < PROGRESS_EVERY_MS) return;
    sentAtMs = now;
    call.write(toMessage(progress));
  };
  call.write(toMessage(await packages.acquire(payload, send, gone.signal)));
  call.end();
}

function toMessage({ failed, ...progress }: AcquireProgress): ProgressMessage {
  return { ...progress, failed: failed.map(({ node, code, detail }) => ({ node, code, detail })) };
}

// Renews a node's certificate at two thirds of its lifetime, with jitter, so that a fleet that enrolled in one hour
// does not renew in one minute. The new key is on the disk before it is sent: when the answer is lost, the same key is
// sent again, and the server gives the same answer.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import type { Duplex } from 'node:stream';
import { background } from '../lib/async/background.ts';
import { backoffMs } from '../lib/async/backoff.ts';
import { LongTimer } from '../lib/async/long-timer.ts';
import { IsthmusError } from '../contract/errors.ts';
import { grpcClient } from '../lib/grpc/client.ts';
import { loadDefinitions } from '../lib/grpc/load.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import type { BeginRenewalResponse__Output } from '../proto/gen/isthmus/identity/v1/BeginRenewalResponse.ts';
import type { IdentityClient } from '../proto/gen/isthmus/identity/v1/Identity.ts';
import type { RenewResponse__Output } from '../proto/gen/isthmus/identity/v1/RenewResponse.ts';
import { BACKDATE_MS, generateKey } from './keys.ts';
import { keyProof, sessionKey } from './enrolment/proof.ts';
import type { IdentityStore } from './identity.ts';

const types = loadDefinitions('isthmus/identity/v1/identity.proto').isthmus.identity.v1;
const CALL_MS = 20_000;
/** The back-off after failed attempts: soon at first, then ever slower; there are days left. */
const RETRY = { baseMs: 5_000, capMs: 30 * 60_000, jitter: 'half' } as const;

/** Gets a certificate for a new public key: over the mesh, or from the authority itself on the server. */
export type Renewer = (pending: { keyPem: string; spkiDer: Buffer }) => Promise<string>;

interface RenewalOptions {
  readonly identity: IdentityStore;
  readonly renew: Renewer;
  readonly log: Logger;
  /** For tests: between 0 and 1. */
  readonly random?: () => number;
}

/** Keeps the certificate fresh until stopped. */
export function keepRenewed(options: RenewalOptions): { stop(): void } {
  let timer: LongTimer | undefined;
  let stopped = false;
  const schedule = (atMs: number, failures: number): void => {
    if (!stopped) timer = new LongTimer(atMs, () => begin(failures), { keepsAlive: false });
  };
  const renew = async (failures: number): Promise<void> => {
    try {
      await renewOnce(options.identity, options.renew);
      options.log.info({ notAfter: new Date(options.identity.peer().notAfterMs).toISOString() }, 'certificate renewed');
      schedule(renewalTimeMs(options), 0);
    } catch (thrown) {
      if (stopped) return;
      const error = IsthmusError.from(thrown);
      options.log.warn({ code: error.code, err: error.message, failures }, 'certificate not renewed yet');
      schedule(Date.now() + backoffMs(failures, RETRY, options.random), failures + 1);
    }
  };
  const begin = (failures: number): void => background('certificate.renewal', options.log, () => renew(failures));
  schedule(renewalTimeMs(options), 0);
  return {
    stop() {
      stopped = true;
      timer?.stop();
    },
  };
}

/** Between 60 and 67 % of the certificate's lifetime. */
function renewalTimeMs({ identity, random = Math.random }: RenewalOptions): number {
  const { notBeforeMs, notAfterMs } = identity.peer();
  const issuedAtMs = notBeforeMs + BACKDATE_MS;
  return issuedAtMs + (notAfterMs - issuedAtMs) * (2 / 3 - random() * 0.067);
}

/** One renewal, with the pending key when an earlier one got no answer. */
export async function renewOnce(identity: IdentityStore, renew: Renewer): Promise<void> {
  let keyPem = identity.pendingKey();
  if (keyPem === undefined) {
    ({ keyPem } = await generateKey());
    identity.setPendingKey(keyPem);
  }
  const spkiDer = createPublicKey(keyPem).export({ type: 'spki', format: 'der' });
  await identity.replace(await renew({ keyPem, spkiDer }), keyPem);
}

/** Renews over the `identity` service, which `dial` connects to. */
export function renewOverMesh(dial: (signal: AbortSignal) => Promise<Duplex>): Renewer {
  return async ({ keyPem, spkiDer }) => {
    const client = grpcClient<IdentityClient>(types.Identity, dial, { hop: 'server' });
    try {
      const { nonce } = await client.unary<BeginRenewalResponse__Output>(
        (c, options, done) => c.beginRenewal({}, options, done),
        { deadlineMs: CALL_MS },
      );
      const { stream } = client;
      if (!(stream instanceof TLSSocket))
        throw new IsthmusError('UNREACHABLE', 'the session closed', { hop: 'server' });
      const proof = keyProof(createPrivateKey(keyPem), { session: sessionKey(stream), nonce, spkiDer });
      const { certificatePem } = await client.unary<RenewResponse__Output>(
        (c, options, done) => c.renew({ publicKeySpki: spkiDer, keyProof: proof, nonce }, options, done),
        { deadlineMs: CALL_MS },
      );
      return certificatePem;
    } finally {
      client.close();
    }
  };
}

// A proof is valid only in its own session: what a relay or an eavesdropper could record is worth nothing.
import { createPrivateKey } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { generateKey } from '../../certs/keys.ts';
import { keyProof, parseToken, proofKey, sessionKey, tokenProof } from '../../certs/enrolment/proof.ts';
import { sessionByDialling } from '../../certs/enrolment/session.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { grpcClient, type GrpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { openEnrol } from '../../mesh/enrolment/outbound.ts';
import { WIRE_VERSIONS } from '../../mesh/wire-version.ts';
import type { BeginResponse__Output } from '../../proto/gen/isthmus/identity/v1/BeginResponse.ts';
import type { EnrolmentClient } from '../../proto/gen/isthmus/identity/v1/Enrolment.ts';
import type { EnrolRequest } from '../../proto/gen/isthmus/identity/v1/EnrolRequest.ts';
import { startControlPlane, type ControlPlane } from '../support/control-plane.ts';

const types = loadDefinitions('isthmus/identity/v1/identity.proto').isthmus.identity.v1;

interface Session {
  readonly client: GrpcClient<EnrolmentClient>;
  readonly key: Buffer;
  readonly nonce: Buffer;
}

async function begin(server: ControlPlane): Promise<Session> {
  const signal = AbortSignal.timeout(30_000);
  const { tls } = await openEnrol(server.address, {
    destination: 'server',
    source: 'joining',
    deadlineMs: 10_000,
    signal,
  });
  const { socket } = await sessionByDialling(tls, server.pin);
  const client = grpcClient<EnrolmentClient>(types.Enrolment, () => Promise.resolve(socket));
  onTestFinished(() => client.close());
  const versions = { oldestWireVersion: WIRE_VERSIONS.oldest, newestWireVersion: WIRE_VERSIONS.newest };
  const request = { ...versions, softwareVersion: 'test', tokenId: '' };
  const { nonce } = await client.unary<BeginResponse__Output>((c, o, done) => c.begin(request, o, done), {
    deadlineMs: 9_000,
  });
  return { client, nonce, key: sessionKey(socket) };
}

async function enrolmentOf(
  token: string,
  { key: session, nonce }: Pick<Session, 'key' | 'nonce'>,
): Promise<EnrolRequest> {
  const { id, secret } = parseToken(token);
  const { keyPem, spkiDer } = await generateKey();
  const context = { session, nonce, spkiDer };
  return {
    tokenId: id,
    tokenProof: tokenProof(proofKey(secret), context),
    publicKeySpki: spkiDer,
    keyProof: keyProof(createPrivateKey(keyPem), context),
    nonce,
  };
}

async function outcome({ client }: Session, request: EnrolRequest): Promise<string> {
  try {
    await client.unary((c, options, done) => c.enrol(request, options, done), { deadlineMs: 9_000 });
    return 'let in';
  } catch (thrown) {
    return IsthmusError.from(thrown).code;
  }
}

test('a proof made in one session is rejected in another, with either nonce, and binds nothing', async () => {
  const server = await startControlPlane();
  const { token, id } = await server.token();
  const [one, two] = [await begin(server), await begin(server)];
  const recorded = await enrolmentOf(token, one);
  expect(await outcome(two, recorded)).toBe('ENROL_STALE');
  expect(await outcome(two, { ...recorded, nonce: two.nonce })).toBe('TOKEN_UNKNOWN');
  // Everything is right but the session: a man in the middle of two TLS sessions could send this.
  expect(await outcome(two, await enrolmentOf(token, { key: one.key, nonce: two.nonce }))).toBe('TOKEN_UNKNOWN');
  expect((await server.store.tokens.get(id)).boundSpkiSha256).toBeNull();
  expect(await server.denials('enrolment.denied')).toHaveLength(3);
  expect(await outcome(one, recorded)).toBe('let in');
  // The same key may enrol again: its answer may have been lost.
  expect(await outcome(one, recorded)).toBe('let in');
});

test('another key under the proof, or a proof of possession by another key, is rejected', async () => {
  const server = await startControlPlane();
  const { token } = await server.token();
  const session = await begin(server);
  const [mine, other] = [await enrolmentOf(token, session), await enrolmentOf(token, session)];
  expect(await outcome(session, { ...mine, publicKeySpki: other.publicKeySpki! })).toBe('TOKEN_UNKNOWN');
  expect(await outcome(session, { ...mine, keyProof: other.keyProof! })).toBe('INVALID_FIELD');
  expect(await outcome(session, { ...mine, tokenProof: Buffer.alloc(0) })).toBe('TOKEN_UNKNOWN');
});

test.each([
  { peer: 'a former peer', oldestWireVersion: 0, newestWireVersion: WIRE_VERSIONS.oldest - 1 },
  { peer: 'a future peer', oldestWireVersion: WIRE_VERSIONS.newest + 1, newestWireVersion: WIRE_VERSIONS.newest + 8 },
])('$peer is told so before anything else', async ({ peer: _, ...versions }) => {
  const server = await startControlPlane();
  const { client } = await begin(server);
  const request = { ...versions, softwareVersion: 'test', tokenId: '' };
  await expect(
    client.unary((c, options, done) => c.begin(request, options, done), { deadlineMs: 9_000 }),
  ).rejects.toMatchObject({ code: 'WIRE_VERSION' });
});

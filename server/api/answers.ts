// Changes through the API: one transaction makes the change and stores the answer under the caller's Idempotency-Key,
// so that a request sent twice has its effect once and gets the same answer twice.
import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ERROR_CATALOGUE, IsthmusError } from '../../contract/errors.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { AfterCommit, ApiContext } from './context.ts';
import { denied, principalOf } from './route-access.ts';

export interface Answer<Body> {
  readonly status: 200 | 201 | 202 | 204;
  readonly body: Body;
  readonly location?: string;
  readonly version?: number;
  /** Runs once the transaction has committed; not again for a repeated request. */
  readonly after?: AfterCommit | undefined;
}

type Remembered<Body> = Omit<Answer<Body>, 'after'>;

/**
 * Runs `effect` and sends its answer. A POST with an Idempotency-Key that was answered before gets that answer again;
 * the same key with another request throws IDEMPOTENCY_KEY_REUSED. Only successful answers are stored.
 */
export async function change<Body>(
  context: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  effect: (tx: StoreTransaction, actor: string) => Promise<Answer<Body>>,
): Promise<Body> {
  const key = idempotencyKey(request);
  const actor = principalOf(request).keyId;
  const { answer, after } = await context.store
    .transaction(async (tx): Promise<{ answer: Remembered<Body>; after?: AfterCommit | undefined }> => {
      const before = key === undefined ? undefined : await recall<Body>(context, tx, request, key);
      if (before !== undefined) return { answer: before };
      const answer = await effect(tx, actor);
      if (key !== undefined) await remember(context, tx, request, key, answer);
      return { answer, after: answer.after };
    })
    .catch(async (thrown: unknown) => {
      if (!(thrown instanceof IsthmusError) || !isDenial(thrown)) throw thrown;
      throw await denied(context, request, actor, thrown);
    });
  after?.();
  return send(reply, answer);
}

/** Whether an error is a denial (of a role, a scope or an address), which is recorded as one. */
function isDenial({ code }: IsthmusError): boolean {
  return ERROR_CATALOGUE[code].http === 403 || code === 'SCOPE_MISMATCH' || code === 'URL_FORBIDDEN';
}

function send<Body>(reply: FastifyReply, { status, body, location, version }: Remembered<Body>): Body {
  reply.code(status);
  if (location !== undefined) reply.header('location', location);
  if (version !== undefined) reply.header('etag', etag(version));
  return body;
}

/** The entity tag of a version. */
export function etag(version: number): string {
  return `"${version}"`;
}

/** Sends a versioned resource with its ETag. */
export function sendVersioned<Body extends { readonly version: number }>(reply: FastifyReply, body: Body): Body {
  reply.header('etag', etag(body.version));
  return body;
}

/** The version that the caller read. Throws PRECONDITION_REQUIRED without If-Match, PRECONDITION_FAILED for no ETag. */
export function requiredVersion(request: FastifyRequest): number {
  const sent = request.headers['if-match'];
  if (sent === undefined) throw new IsthmusError('PRECONDITION_REQUIRED', 'the If-Match header is missing');
  const [, version] = /^"(\d{1,15})"$/.exec(sent) ?? [];
  if (version === undefined) throw new IsthmusError('PRECONDITION_FAILED', 'If-Match is not an ETag of this resource');
  return Number(version);
}

function idempotencyKey(request: FastifyRequest): string | undefined {
  const sent = request.headers['idempotency-key'];
  if (sent === undefined || request.method !== 'POST') return undefined;
  if (typeof sent !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(sent)) {
    throw new IsthmusError('INVALID_FIELD', 'an Idempotency-Key is 1 to 255 visible ASCII characters', {
      field: 'Idempotency-Key',
    });
  }
  return sent;
}

async function recall<Body>(
  { sealer }: ApiContext,
  tx: StoreTransaction,
  request: FastifyRequest,
  key: string,
): Promise<Remembered<Body> | undefined> {
  const slot = { apiKey: principalOf(request).keyId, key };
  const before = await tx.idempotency.find(slot);
  if (before === undefined) return undefined;
  if (before.requestSha256 !== requestSha256(request)) {
    throw new IsthmusError('IDEMPOTENCY_KEY_REUSED', 'this key was used for a different request', {
      field: 'Idempotency-Key',
    });
  }
  return JSON.parse(sealer.openText(before.body, sealIdentity(slot))) as Remembered<Body>;
}

async function remember<Body>(
  { sealer }: ApiContext,
  tx: StoreTransaction,
  request: FastifyRequest,
  key: string,
  { after: _after, ...answer }: Answer<Body>,
): Promise<void> {
  const slot = { apiKey: principalOf(request).keyId, key };
  // Sealed: an answer may hold a secret that is shown once, such as a new API key.
  const body = sealer.seal(JSON.stringify(answer), sealIdentity(slot));
  const { status, location = null } = answer;
  await tx.idempotency.remember(slot, { requestSha256: requestSha256(request), status, body, location }, Date.now());
}

function sealIdentity({ apiKey, key }: { apiKey: string; key: string }): string {
  return `idempotency_keys/${apiKey}/${key}/body`;
}

function requestSha256(request: FastifyRequest): string {
  return createHash('sha256')
    .update(`${request.method} ${request.url}\n${request.bodySha256 ?? ''}`)
    .digest('hex');
}

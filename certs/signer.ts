// What a server node signs: envelopes that tentacles execute, and passes that allow a download. The Ed25519 key lives
// in this process only; each signature carries the authority's statement of that key, so a new key needs nothing at the
// other side.
import { createHash, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { IsthmusError } from '../contract/errors.ts';
import { loadDefinitions, messageCodec } from '../lib/grpc/load.ts';
import type { Envelope } from '../proto/gen/isthmus/tentacle/v1/Envelope.ts';
import type { EnvelopeBody__Output } from '../proto/gen/isthmus/tentacle/v1/EnvelopeBody.ts';
import type { SignerStatement__Output } from '../proto/gen/isthmus/tentacle/v1/SignerStatement.ts';
import { verifyStatement, type StatementKind } from './authority-signature.ts';
import type { RevocationCheck, Trust } from './verify.ts';

const types = loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1;
const statementCodec = messageCodec(types.SignerStatement);
const bodyCodec = messageCodec(types.EnvelopeBody);

const DAY_MS = 86_400_000;
const STATEMENT_LIFETIME_MS = 7 * DAY_MS;
/** What two clocks may differ by. */
export const SKEW_MS = 5 * 60_000;

/** The kinds of call an envelope is good for. */
export type EnvelopeKind = 'script' | 'acquire' | 'stage' | 'activate' | 'cancel';

export interface EnvelopeContent {
  readonly tentacle: string;
  readonly ticket: string;
  readonly task: string;
  readonly epoch: number;
  readonly expiresAtMs: number;
  readonly kind: EnvelopeKind;
  /** A serialised payload message. */
  readonly payload: Buffer;
}

/** Allows one node of a site to fetch one package for a while. */
export interface DownloadToken {
  /** Lower-case hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly site: string;
  /** Whom it was made for. */
  readonly node: string;
  readonly expiresAtMs: number;
}

/** The part of the authority that a signer needs. */
interface StatementAuthority {
  readonly meshId: string;
  sign(kind: StatementKind, statement: Buffer): Buffer;
}

interface Introduction {
  readonly statement: Buffer;
  readonly signature: Buffer;
  readonly madeAtMs: number;
}

/** Makes the signer of a server node, with a key of its own. */
export function createSigner(authority: StatementAuthority, node: string): Signer {
  return new Signer(authority, node);
}

export class Signer {
  readonly #authority: StatementAuthority;
  readonly #node: string;
  readonly #key: KeyObject;
  readonly #publicKey: Buffer;
  #introduction: Introduction;

  constructor(authority: StatementAuthority, node: string) {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519');
    this.#authority = authority;
    this.#node = node;
    this.#key = privateKey;
    this.#publicKey = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
    this.#introduction = this.#introduce(Date.now());
  }

  /** Signs one sending of a ticket. */
  signEnvelope(content: EnvelopeContent, nowMs = Date.now()): Envelope {
    const body = bodyCodec.encode({ ...content, payloadSha256: sha256(content.payload) });
    const { statement, signature } = this.#current(nowMs);
    return { signer: statement, signerSignature: signature, body, signature: this.#sign('envelope', body) };
  }

  /** Signs a download downloadToken: an opaque text of URL-safe characters. */
  signDownloadToken({ sha256: digest, sizeBytes, site, node, expiresAtMs }: DownloadToken, nowMs = Date.now()): string {
    const body = Buffer.from(JSON.stringify([digest, sizeBytes, site, expiresAtMs, node]));
    const { statement, signature } = this.#current(nowMs);
    const parts = [statement, signature, body, this.#sign('downloadToken', body)];
    return `isd_${parts.map((part) => part.toString('base64url')).join('.')}`;
  }

  #sign(purpose: Purpose, body: Buffer): Buffer {
    return sign(null, purposeBytes(purpose, body), this.#key);
  }

  #current(nowMs: number): Introduction {
    // Also when the clock was set back: the others would find the statement not good yet.
    if (Math.abs(nowMs - this.#introduction.madeAtMs) > DAY_MS) this.#introduction = this.#introduce(nowMs);
    return this.#introduction;
  }

  #introduce(nowMs: number): Introduction {
    const statement = statementCodec.encode({
      meshId: this.#authority.meshId,
      node: this.#node,
      publicKey: this.#publicKey,
      notBeforeMs: nowMs - SKEW_MS,
      notAfterMs: nowMs + STATEMENT_LIFETIME_MS,
    });
    const signature = this.#authority.sign('signer', statement);
    return { statement, signature, madeAtMs: nowMs };
  }
}

interface EnvelopeExpectation {
  /** The tentacle that reads it. */
  readonly self: string;
  readonly kind: EnvelopeKind;
  readonly revocations?: RevocationCheck | undefined;
  readonly nowMs?: number;
}

/**
 * What an envelope says, once every signature holds and it is for this tentacle and this kind of call. Throws
 * BAD_TASK_SIGNATURE, WRONG_RECIPIENT or ENVELOPE_KIND. Its expiry bounds the first start only and is the caller's to
 * judge, as is the epoch.
 */
export function verifyEnvelope(
  envelope: Envelope | null | undefined,
  trust: Trust,
  { self, kind, revocations, nowMs = Date.now() }: EnvelopeExpectation,
): EnvelopeBody__Output {
  const { signer, signerSignature, body, signature } = envelope ?? {};
  const bodyBytes = bytes(body);
  const statement = verifySigner(bytes(signer), bytes(signerSignature), trust, revocations, nowMs);
  verifyBody('envelope', statement, bodyBytes, bytes(signature));
  const content = bodyCodec.decode(bodyBytes);
  if (!sha256(content.payload).equals(content.payloadSha256)) bad('the payload is not the one that was signed');
  if (content.tentacle !== self) {
    throw new IsthmusError('WRONG_RECIPIENT', `this envelope is for ${content.tentacle}, this is ${self}`);
  }
  if (content.kind !== kind) {
    throw new IsthmusError('ENVELOPE_KIND', `an envelope for ${content.kind} was sent to ${kind}`);
  }
  return content;
}

/**
 * What a pass allows, when it is good now and for what is asked; else FORBIDDEN, with one text for every reason, so
 * that an answer tells nothing about what exists.
 */
export function verifyDownloadToken(
  downloadToken: string,
  trust: Trust,
  asked: { readonly sha256: string; readonly site?: string; readonly node?: string; readonly nowMs?: number },
): DownloadToken {
  const nowMs = asked.nowMs ?? Date.now();
  const parts =
    downloadToken.startsWith('isd_') && downloadToken.length < 4096 ? downloadToken.slice(4).split('.') : [];
  const [statementBytes, introduction, body, signature] = parts.map((part) => Buffer.from(part, 'base64url'));
  try {
    const statement = verifySigner(bytes(statementBytes), bytes(introduction), trust, undefined, nowMs);
    verifyBody('downloadToken', statement, bytes(body), bytes(signature));
    const read = readDownloadToken(bytes(body));
    const fits =
      (asked.site === undefined || asked.site === read.site) && (asked.node === undefined || asked.node === read.node);
    if (read.sha256 === asked.sha256 && fits && nowMs <= read.expiresAtMs + SKEW_MS) return read;
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError)) throw thrown;
  }
  throw new IsthmusError('FORBIDDEN', 'there is no download token for this');
}

type Purpose = 'envelope' | 'downloadToken';

function purposeBytes(purpose: Purpose, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`isthmus/${purpose}/v1\0`), body]);
}

function verifySigner(
  statement: Buffer,
  signature: Buffer,
  trust: Trust,
  revocations: RevocationCheck | undefined,
  nowMs: number,
): SignerStatement__Output {
  if (!verifyStatement(trust.authorityPem, 'signer', statement, signature))
    bad('its signer is unknown to the authority');
  const signer = statementCodec.decode(statement);
  const { meshId, node, notBeforeMs, notAfterMs } = signer;
  if (meshId !== trust.meshId) bad(`its signer is of mesh ${meshId}`);
  if (nowMs < notBeforeMs - SKEW_MS || nowMs > notAfterMs + SKEW_MS) {
    const period = `${new Date(notBeforeMs).toISOString()} to ${new Date(notAfterMs).toISOString()}`;
    bad(`its signer ${node} is good from ${period}; the clock here says ${new Date(nowMs).toISOString()}`);
  }
  if (revocations?.isRevoked({ meshId, node, role: 'server', serialNumber: '', notBeforeMs, notAfterMs })) {
    bad(`its signer ${node} has been revoked`);
  }
  return signer;
}

function verifyBody(purpose: Purpose, signer: SignerStatement__Output, body: Buffer, signature: Buffer): void {
  if (!verify(null, purposeBytes(purpose, body), keyOf(signer), signature)) bad('its signature is wrong');
}

/** Keys of signers by their raw bytes: to read one costs almost as much as to verify with it. */
const keys = new LRUCache<string, KeyObject>({ max: 100 });

function keyOf({ publicKey }: SignerStatement__Output): KeyObject {
  const x = publicKey.toString('base64url');
  const known = keys.get(x);
  if (known !== undefined) return known;
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
  keys.set(x, key);
  return key;
}

function readDownloadToken(body: Buffer): DownloadToken {
  const values: unknown = JSON.parse(body.toString());
  const [digest, sizeBytes, site, expiresAtMs, node] = Array.isArray(values) ? (values as unknown[]) : [];
  if (
    typeof digest !== 'string' ||
    typeof sizeBytes !== 'number' ||
    typeof site !== 'string' ||
    typeof node !== 'string' ||
    typeof expiresAtMs !== 'number'
  ) {
    return bad('it is not a download token');
  }
  return { sha256: digest, sizeBytes, site, node, expiresAtMs };
}

function bad(reason: string): never {
  throw new IsthmusError('BAD_TASK_SIGNATURE', `the envelope is not accepted: ${reason}`);
}

function bytes(value: unknown): Buffer {
  return Buffer.isBuffer(value) ? value : value instanceof Uint8Array ? Buffer.from(value) : Buffer.alloc(0);
}

function sha256(content: Buffer): Buffer {
  return createHash('sha256').update(content).digest();
}

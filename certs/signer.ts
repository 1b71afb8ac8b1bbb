// Signs and verifies what a server node signs: envelopes with orders for tentacles and mirrors, and download tokens. The Ed25519
// key exists only in this process. Each signature carries the authority's statement about the key, so verifiers need
// not know a new key in advance.
import { createHash, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { IsthmusError } from '../contract/errors.ts';
import { loadDefinitions, messageCodec } from '../lib/grpc/load.ts';
import { DAY_MS } from '../lib/time.ts';
import type { Envelope } from '../proto/gen/isthmus/tentacle/v1/Envelope.ts';
import type { EnvelopeBody__Output } from '../proto/gen/isthmus/tentacle/v1/EnvelopeBody.ts';
import type { SignerStatement__Output } from '../proto/gen/isthmus/tentacle/v1/SignerStatement.ts';
import { verifyStatement, type StatementKind } from './authority-signature.ts';
import type { RevocationCheck, Trust } from './verify.ts';

const types = loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1;
const statementCodec = messageCodec(types.SignerStatement);
const bodyCodec = messageCodec(types.EnvelopeBody);

const STATEMENT_LIFETIME_MS = 7 * DAY_MS;
/** How far two clocks may differ. */
export const SKEW_MS = 5 * 60_000;

/** The kinds of call that an envelope is for. */
export type EnvelopeKind = 'script' | 'acquire' | 'stage' | 'activate' | 'settle' | 'cancel' | MirrorOrderKind;
/** Those for mirrors. */
type MirrorOrderKind = 'warm' | 'keep' | 'verify' | 'collect';

export interface EnvelopeContent {
  /** The tentacle, or the mirror, that the order is for. */
  readonly tentacle: string;
  readonly ticket: string;
  readonly task: string;
  readonly epoch: number;
  readonly expiresAtMs: number;
  readonly kind: EnvelopeKind;
  /** A serialised payload message. */
  readonly payload: Buffer;
}

/** Allows one node of a site to fetch one package until it expires. */
export interface DownloadToken {
  /** Lower-case hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly site: string;
  /** The node that it was issued for. */
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
  readonly createdAtMs: number;
}

/** Creates the signer of a server node, with a new key. */
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

  /** Signs an envelope for one sending of a ticket. */
  signEnvelope(content: EnvelopeContent, nowMs = Date.now()): Envelope {
    const body = bodyCodec.encode({ ...content, payloadSha256: sha256(content.payload) });
    const { statement, signature } = this.#current(nowMs);
    return { signer: statement, signerSignature: signature, body, signature: this.#sign('envelope', body) };
  }

  /** Signs a download token: an opaque text of URL-safe characters. */
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
    // Also renewed when the clock was set back: otherwise the statement would not be valid yet.
    if (Math.abs(nowMs - this.#introduction.createdAtMs) > DAY_MS) this.#introduction = this.#introduce(nowMs);
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
    return { statement, signature, createdAtMs: nowMs };
  }
}

interface EnvelopeExpectation {
  /** The tentacle, or the mirror, that reads it. */
  readonly self: string;
  readonly kind: EnvelopeKind;
  readonly revocations?: RevocationCheck | undefined;
  readonly nowMs?: number;
}

/**
 * Verifies an envelope for this node and this kind of call, and returns its content. Throws BAD_TASK_SIGNATURE,
 * WRONG_RECIPIENT or ENVELOPE_KIND. The caller checks the epoch, and the expiry, which bounds the first start only.
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
    throw new IsthmusError('ENVELOPE_KIND', `an envelope of kind ${content.kind} was sent for ${kind}`);
  }
  return content;
}

/**
 * Verifies that a download token is valid now and for this request, and returns it. Otherwise FORBIDDEN, with the same
 * text for every reason, so that the answer reveals nothing about what exists.
 */
export function verifyDownloadToken(
  downloadToken: string,
  trust: Trust,
  requested: { readonly sha256: string; readonly site?: string; readonly node?: string; readonly nowMs?: number },
): DownloadToken {
  const nowMs = requested.nowMs ?? Date.now();
  try {
    const read = signedToken(downloadToken, trust, nowMs);
    const fits =
      (requested.site === undefined || requested.site === read.site) &&
      (requested.node === undefined || requested.node === read.node);
    if (read.sha256 === requested.sha256 && fits && nowMs <= read.expiresAtMs + SKEW_MS) return read;
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError)) throw thrown;
  }
  throw new IsthmusError('FORBIDDEN', 'there is no download token for this');
}

interface SignedToken {
  readonly signer: SignerStatement__Output;
  readonly read: DownloadToken;
  /** Of the mesh whose signatures it has. */
  readonly authorityPem: string;
}

/** Tokens whose signatures are right: a client that asks again sends the same one, and verifying costs most of it. */
const signedTokens = new LRUCache<string, SignedToken>({ max: 1000 });

/** What a token says; BAD_TASK_SIGNATURE unless its signatures are right, and its signer is valid now. */
function signedToken(downloadToken: string, trust: Trust, nowMs: number): DownloadToken {
  const known = signedTokens.get(downloadToken);
  if (known?.authorityPem === trust.authorityPem) {
    checkSigner(known.signer, trust, undefined, nowMs);
    return known.read;
  }
  const parts =
    downloadToken.startsWith('isd_') && downloadToken.length < 4096 ? downloadToken.slice(4).split('.') : [];
  const [statementBytes, introduction, body, signature] = parts.map((part) => Buffer.from(part, 'base64url'));
  const signer = verifySigner(bytes(statementBytes), bytes(introduction), trust, undefined, nowMs);
  verifyBody('downloadToken', signer, bytes(body), bytes(signature));
  const read = readDownloadToken(bytes(body));
  signedTokens.set(downloadToken, { signer, read, authorityPem: trust.authorityPem });
  return read;
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
  checkSigner(signer, trust, revocations, nowMs);
  return signer;
}

function checkSigner(
  { meshId, node, notBeforeMs, notAfterMs }: SignerStatement__Output,
  trust: Trust,
  revocations: RevocationCheck | undefined,
  nowMs: number,
): void {
  if (meshId !== trust.meshId) bad(`its signer belongs to mesh ${meshId}`);
  if (nowMs < notBeforeMs - SKEW_MS || nowMs > notAfterMs + SKEW_MS) {
    const period = `${new Date(notBeforeMs).toISOString()} to ${new Date(notAfterMs).toISOString()}`;
    bad(`its signer ${node} is valid from ${period}; the clock here says ${new Date(nowMs).toISOString()}`);
  }
  if (revocations?.isRevoked({ meshId, node, role: 'server', serialNumber: '', notBeforeMs, notAfterMs })) {
    bad(`its signer ${node} has been revoked`);
  }
}

function verifyBody(purpose: Purpose, signer: SignerStatement__Output, body: Buffer, signature: Buffer): void {
  if (!verify(null, purposeBytes(purpose, body), keyOf(signer), signature)) bad('its signature is wrong');
}

/** Caches signers' keys by their raw bytes: parsing one costs almost as much as a verification. */
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

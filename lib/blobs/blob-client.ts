// Requests a blob over an injected stream. Trusts only the framing of the answer: follows no redirect, decodes no
// encoding; the caller checks the digest.
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { Watchdog, within } from '../async/deadline.ts';
import { isErrorCode, IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import { piecesOf } from './pieces.ts';
import { TooSlow, type SourceClass } from './progress-floor.ts';
import { parseContentRange } from './ranges.ts';

/** A stream to a source: a node whose identity is proven, or a server outside the mesh. */
export type SourceConnection =
  | { readonly linkClass: 'open port' | 'mesh'; readonly stream: Duplex }
  | {
      readonly linkClass: 'upstream';
      readonly stream: Duplex;
      readonly host: string;
      /** Path and query of the package there. */
      readonly path: string;
    };

/** The rate of a fetch that nobody waits for. */
export interface Warming {
  /** 0 for no limit. */
  readonly maxBytesPerS: number;
}

/** Says that nobody waits for the blob, and the most bytes a second, 0 for no limit. Mirrors before 0.2.0 ignore it. */
export const WARMING_HEADER = 'x-isthmus-warming';

export interface BlobQuestion {
  readonly sha256: string;
  readonly downloadToken: string;
  /** Bytes that the caller has already. */
  readonly fromByte: number;
  readonly signal: AbortSignal;
  /** Set where nobody waits for the blob: a mirror that must fetch it keeps to the rate, too. */
  readonly warming?: Warming | undefined;
  /** A source that sends no answer, or no further byte, for this long counts as dead. */
  readonly stallMs: number;
}

export interface PieceQuestion extends BlobQuestion {
  readonly mostBytes: number;
}

/** Some of the bytes of a blob. */
export interface BlobPiece {
  /** Of the whole blob. */
  readonly sizeBytes: number;
  /** Where it begins: 0 at a source that knows no ranges. */
  readonly fromByte: number;
  readonly bytes: Buffer;
}

export interface DeltaQuestion extends Omit<BlobQuestion, 'fromByte'> {
  /** Whether what is inside both gzips is meant. */
  readonly inflated: boolean;
  /** Digests of blobs that are here, the best first. */
  readonly have: readonly string[];
  /** Of the line to the source, as far as it was measured. */
  readonly bytesPerS?: number | undefined;
}

export interface BlobAnswer {
  readonly sizeBytes: number;
  readonly sourceClass: SourceClass;
  /** The bytes from `fromByte` to the end. Throws SOURCE_FAILED when they stop short or stall. */
  readonly body: AsyncIterable<Buffer>;
  /** Ends the connection; needed when the body is not read to its end. Idempotent. */
  close(): void;
}

export interface DeltaAnswer extends BlobAnswer {
  /** The blob that the patch leads from. */
  readonly base: string;
}

const LARGEST_HEADER_BYTES = 8 * 1024;
/** A source that only says that it is there: its own sources are no better, or it checks the digest of a large file. */
const FIRST_BYTE_MS = 60_000;

/** Sends the request and resolves with the head of the answer. Uses up the stream. */
export function askForBlob(connection: SourceConnection, question: BlobQuestion): Promise<BlobAnswer> {
  const { sha256, fromByte } = question;
  const request = {
    path: pathOf(connection, sha256),
    headers: fromByte === 0 ? {} : { range: `bytes=${fromByte}-` },
  };
  return ask(connection, question, request, (response, rest) => ({ sizeBytes: sizeOf(response, question), ...rest }));
}

/**
 * Asks for a piece of a blob that the source has: it fetches nothing and sends no more. NOT_FOUND where a node does not
 * have it. Servers outside the mesh fetch nothing anyway, and not all of them know HEAD.
 */
export async function askForPiece(
  connect: () => Promise<SourceConnection>,
  { fromByte, mostBytes, ...question }: PieceQuestion,
): Promise<BlobPiece> {
  const { sha256 } = question;
  const toByte = fromByte + mostBytes;
  let connection = await connect();
  if (connection.linkClass !== 'upstream') {
    const request = { method: 'HEAD', path: pathOf(connection, sha256), headers: {} };
    const head = await ask(connection, question, request, (response, rest) => {
      sizeOf(response, { fromByte: 0 });
      return rest;
    });
    head.close();
    connection = await connect();
  }
  const request = { path: pathOf(connection, sha256), headers: { range: `bytes=${fromByte}-${toByte - 1}` } };
  const answer = await ask(connection, question, request, (response, rest) => ({
    sizeBytes: sizeOf(response, { fromByte, toByte }),
    fromByte: response.statusCode === 200 ? 0 : fromByte,
    ...rest,
  }));
  return { sizeBytes: answer.sizeBytes, fromByte: answer.fromByte, bytes: await firstOf(answer, mostBytes) };
}

/** Asks for a patch, as `askForBlob` does for a blob. NOT_FOUND where there is none. */
export function askForDelta(connection: SourceConnection, question: DeltaQuestion): Promise<DeltaAnswer> {
  const { sha256, inflated, have, bytesPerS } = question;
  const request = {
    path: `/v1/deltas/${inflated ? 'tar' : 'file'}/${sha256}`,
    headers: {
      'x-isthmus-have': have.join(),
      ...(bytesPerS === undefined ? {} : { 'x-isthmus-rate': String(Math.round(bytesPerS)) }),
    },
  };
  return ask(connection, question, request, (response, rest) => {
    const sizeBytes = sizeOf(response, { fromByte: 0 });
    const base = String(response.headers['x-isthmus-delta-from']);
    if (!have.includes(base)) throw new IsthmusError('SOURCE_FAILED', 'the patch is for a version that is not here');
    return { sizeBytes, base, ...rest };
  });
}

type Asked = Omit<BlobQuestion, 'fromByte'> & { readonly fromByte?: number };

interface Request {
  readonly method?: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

async function ask<Answer>(
  connection: SourceConnection,
  question: Asked,
  { method = 'GET', path, headers }: Request,
  answerOf: (response: IncomingMessage, rest: Omit<BlobAnswer, 'sizeBytes'>) => Answer,
): Promise<Answer> {
  const { stream, linkClass } = connection;
  stream.on('error', () => undefined);
  const request = httpRequest({
    createConnection: () => stream,
    method,
    path,
    headers: {
      // What a node may fetch from the mesh is nobody's business outside.
      ...(connection.linkClass === 'upstream'
        ? { host: connection.host, 'accept-encoding': 'identity' }
        : { host: 'isthmus', authorization: `Bearer ${question.downloadToken}`, ...warmingHeader(question) }),
      ...headers,
    },
    maxHeaderSize: LARGEST_HEADER_BYTES,
    signal: question.signal,
  });
  request.end();
  try {
    const response = await headOf(request, question.stallMs);
    const close = () => {
      stream.destroy();
    };
    const sourceClass = linkClass !== 'upstream' && isPassedOn(response) ? 'passed on' : linkClass;
    return answerOf(response, { sourceClass, body: bodyOf(response, question, close), close });
  } catch (thrown) {
    stream.destroy();
    throw sourceFailed(thrown, question.signal);
  }
}

function warmingHeader({ warming }: Asked): Record<string, string> {
  return warming === undefined ? {} : { [WARMING_HEADER]: String(warming.maxBytesPerS) };
}

function pathOf(connection: SourceConnection, sha256: string): string {
  return connection.linkClass === 'upstream' ? connection.path : `/v1/blobs/${sha256}`;
}

function headOf(request: ClientRequest, stallMs: number): Promise<IncomingMessage> {
  const { promise: response, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const watchdog = new Watchdog(stallMs, () => {
    reject(new IsthmusError('SOURCE_FAILED', `no answer within ${stallMs} ms`));
  });
  request.once('response', resolve);
  request.on('information', () => watchdog.feed());
  // Kept for the life of the request: an error after the answer must not end the process.
  request.on('error', reject);
  watchdog.feed();
  const late = () => new TooSlow({ bytes: 0, ms: FIRST_BYTE_MS });
  return within(response, { ms: FIRST_BYTE_MS, late }).finally(() => watchdog.rest());
}

/**
 * Whether the source is itself still fetching what it sends (RFC 9211). It need not say so; then more is expected of
 * it.
 */
function isPassedOn({ headers }: IncomingMessage): boolean {
  return /;\s*fwd=/.test(String(headers['cache-status'] ?? ''));
}

/** The size of the whole blob; SOURCE_FAILED unless the answer is all of it or what was requested. */
function sizeOf(
  response: IncomingMessage,
  { fromByte, toByte = Infinity }: Pick<BlobQuestion, 'fromByte'> & { readonly toByte?: number },
): number {
  const { statusCode = 0, headers } = response;
  if (statusCode !== 200 && statusCode !== 206) throw denial(statusCode, headers['isthmus-code']);
  if (headers['content-encoding'] !== undefined) throw new IsthmusError('SOURCE_FAILED', 'the answer is encoded');
  const length = Number(headers['content-length'] ?? Number.NaN);
  if (!Number.isSafeInteger(length)) throw new IsthmusError('SOURCE_FAILED', 'the answer has no content length');
  if (statusCode === 200) return length;
  const range = parseContentRange(headers['content-range']);
  if (
    range === undefined ||
    range.from !== fromByte ||
    range.to !== Math.min(range.sizeBytes, toByte) ||
    range.to - range.from !== length
  ) {
    throw new IsthmusError('SOURCE_FAILED', 'the answer is not the requested range');
  }
  return range.sizeBytes;
}

/** What servers outside the mesh mean by a status. */
const DENIALS: Readonly<Record<number, ErrorCode>> = {
  401: 'FORBIDDEN',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  410: 'NOT_FOUND',
};

function denial(status: number, code: string | string[] | undefined): IsthmusError {
  // Only denials that mean the same at every node are passed on.
  const known: readonly ErrorCode[] = ['FORBIDDEN', 'NOT_FOUND', 'PACKAGE_UNAVAILABLE', 'PACKAGE_HASH_MISMATCH'];
  const named = typeof code === 'string' && isErrorCode(code) && known.includes(code) ? code : DENIALS[status];
  const redirects = status >= 300 && status < 400 ? ': no redirect is followed, name the URL that it leads to' : '';
  return new IsthmusError(named ?? 'SOURCE_FAILED', `the source answered with status ${status}${redirects}`);
}

async function* bodyOf(response: IncomingMessage, question: Asked, close: () => void): AsyncGenerator<Buffer> {
  // A whole body is a valid answer to a range request: the bytes that the caller has are skipped.
  let skip = response.statusCode === 200 ? (question.fromByte ?? 0) : 0;
  const { stallMs } = question;
  const watchdog = new Watchdog(stallMs, () => {
    response.destroy(new IsthmusError('SOURCE_FAILED', `no byte for ${stallMs} ms`));
  });
  try {
    watchdog.feed();
    for await (const chunk of piecesOf(response)) {
      watchdog.rest();
      const rest = skip >= chunk.length ? undefined : chunk.subarray(skip);
      skip = Math.max(0, skip - chunk.length);
      if (rest !== undefined) yield rest;
      watchdog.feed();
    }
    if (!response.complete) throw new IsthmusError('SOURCE_FAILED', 'the answer was cut short');
  } catch (thrown) {
    throw sourceFailed(thrown, question.signal);
  } finally {
    watchdog.rest();
    response.destroy();
    close();
  }
}

async function firstOf(answer: Pick<BlobAnswer, 'body' | 'close'>, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of answer.body) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= length) break;
    }
  } finally {
    answer.close();
  }
  return Buffer.concat(chunks).subarray(0, length);
}

function sourceFailed(thrown: unknown, signal: AbortSignal): IsthmusError {
  if (signal.aborted) return IsthmusError.from(signal.reason, 'CANCELLED');
  return IsthmusError.from(thrown, 'SOURCE_FAILED');
}

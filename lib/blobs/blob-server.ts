// Serves blobs over HTTP/1.1 on injected streams: `GET|HEAD /v1/blobs/<sha256>`, with Range and with
// `Authorization: Bearer <download token>`. The digest in the path is the only key; everything else in a request is ignored
// or rejected. The built-in feed and mirrors share this server and differ in their origin.
// `GET /v1/deltas/tar|file/<sha256>` answers a patch to that blob, or to the tar inside it, from one of the blobs that
// the header `x-isthmus-have` names; 404 where there is none, and at nodes of version 0.1.0.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { background } from '../../lib/async/background.ts';
import { Watchdog } from '../async/deadline.ts';
import { ERROR_CATALOGUE, IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import { pump, whileWaiting, type BlobBody } from './blob-pump.ts';
import { WARMING_HEADER, type Warming } from './blob-client.ts';
import { isSha256 } from './digest.ts';
import { chooseRange, type ByteRange } from './ranges.ts';

export interface BlobRequest<Peer> {
  readonly sha256: string;
  readonly downloadToken: string;
  readonly peer: Peer;
  /** Set where nobody waits for the blob. */
  readonly warming?: Warming | undefined;
  /** Aborts when the requester disconnects. */
  readonly signal: AbortSignal;
}

/** A question for what leads from a blob that the requester has to the one that it wants. */
export interface DeltaRequest<Peer> extends BlobRequest<Peer> {
  /** Whether what is inside both gzips is meant. */
  readonly inflated: boolean;
  /** Digests of blobs, the best first. */
  readonly have: readonly string[];
  /** Bytes per second of the line to the requester; undefined when it has not measured it. */
  readonly bytesPerS: number | undefined;
}

/** A patch. */
export interface DeltaBody extends BlobBody {
  /** The blob that it leads from. */
  readonly base: string;
}

/** What a download token says about its blob. */
export interface BlobGrant {
  readonly sizeBytes: number;
}

export interface BlobOrigin<Peer> {
  /** What the download token grants; FORBIDDEN unless the peer may have this blob. Called before anything else. */
  authorise(request: BlobRequest<Peer>): Promise<BlobGrant> | BlobGrant;
  /** The blob; NOT_FOUND when there is none. */
  open(request: BlobRequest<Peer>, grant: BlobGrant): Promise<BlobBody>;
  /** The size of a blob that is stored whole; HEAD fetches nothing. */
  sizeOf(sha256: string): number | undefined;
  /** A delta; undefined where there is none. An origin without this has none at all. */
  delta?(request: DeltaRequest<Peer>, grant: BlobGrant): Promise<DeltaBody | undefined>;
}

export interface BlobServerLimits {
  /** Requests being answered at once; more get 503. */
  readonly maxRequests: number;
  /** For the headers of a request to arrive. */
  readonly headerTimeoutMs: number;
  /** Without a byte in either direction, during a request or between two. */
  readonly idleTimeoutMs: number;
  /** How often a requester that waits hears that its request is alive. */
  readonly signOfLifeMs: number;
}

/** Up to a thousand tentacles behind one mirror send requests at once; each holds a descriptor and two buffers. */
export const DEFAULT_BLOB_SERVER_LIMITS: BlobServerLimits = {
  maxRequests: 256,
  headerTimeoutMs: 10_000,
  idleTimeoutMs: 60_000,
  signOfLifeMs: 2_500,
};

interface AcceptedStream<Peer> {
  readonly peer: Peer;
  /** Limits the time to the next request: active while no request is served. */
  readonly watchdog: Watchdog;
}

/** Not logged: caused by the requester. */
const QUIET_CODES: readonly string[] = ['FORBIDDEN', 'NOT_FOUND', 'CANCELLED'];

function warmingOf({ headers }: IncomingMessage): Warming | undefined {
  const said = headers[WARMING_HEADER];
  return typeof said === 'string' && /^\d{1,13}$/.test(said) ? { maxBytesPerS: Number(said) } : undefined;
}

const BLOB_PATH = /^\/v1\/blobs\/([0-9a-f]{64})$/;
/** That a request may name. */
export const MOST_BASES = 8;
const DELTA_PATH = /^\/v1\/deltas\/(tar|file)\/([0-9a-f]{64})$/;
const LARGEST_HEADER_BYTES = 8 * 1024;
/** Headers with an effect, which may occur only once. */
const SINGLE_HEADERS = ['authorization', 'range', 'if-range', 'host', 'content-length', 'transfer-encoding'];

export class BlobServer<Peer> {
  readonly #origin: BlobOrigin<Peer>;
  readonly #log: Logger;
  readonly #limits: BlobServerLimits;
  readonly #http: Server;
  readonly #streams = new Map<Duplex, AcceptedStream<Peer>>();
  #requests = 0;

  constructor(origin: BlobOrigin<Peer>, log: Logger, limits: Partial<BlobServerLimits> = {}) {
    this.#origin = origin;
    this.#log = log;
    this.#limits = { ...DEFAULT_BLOB_SERVER_LIMITS, ...limits };
    this.#http = createServer({ maxHeaderSize: LARGEST_HEADER_BYTES, keepAliveTimeout: this.#limits.idleTimeoutMs });
    this.#http.timeout = this.#limits.idleTimeoutMs;
    this.#http.maxHeadersCount = 64;
    this.#http.on('request', (request, response) =>
      background('feed.request', log, () => this.#answer(request, response)),
    );
    this.#http.on('clientError', (_error, stream) => stream.destroy());
    this.#http.on('timeout', (stream: Duplex) => stream.destroy());
  }

  /** Serves HTTP on a stream whose peer has been verified. */
  accept(stream: Duplex, peer: Peer): void {
    // Node's own header timeout runs only for sockets of a listening server.
    const watchdog = new Watchdog(this.#limits.idleTimeoutMs, () => stream.destroy());
    this.#streams.set(stream, { peer, watchdog });
    stream.once('close', () => {
      watchdog.rest();
      this.#streams.delete(stream);
    });
    stream.on('error', () => undefined);
    watchdog.feed(this.#limits.headerTimeoutMs);
    this.#http.emit('connection', stream);
  }

  /** Ends every request. */
  stop(): void {
    for (const stream of this.#streams.keys()) stream.destroy();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const accepted = this.#streams.get(request.socket);
    if (accepted === undefined) {
      request.socket.destroy();
      return;
    }
    accepted.watchdog.rest();
    const gone = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) gone.abort();
      if (!request.socket.destroyed) accepted.watchdog.feed();
    });
    response.on('error', () => undefined);
    this.#requests += 1;
    try {
      if (this.#requests > this.#limits.maxRequests) return reject(response, 503, 'RESOURCE_EXHAUSTED');
      await this.#serve(request, response, accepted.peer, gone.signal);
    } catch (thrown) {
      this.#fail(response, thrown);
    } finally {
      this.#requests -= 1;
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse, peer: Peer, signal: AbortSignal): Promise<void> {
    const delta = DELTA_PATH.exec(request.url ?? '');
    const sha256 = delta?.[2] ?? BLOB_PATH.exec(request.url ?? '')?.[1];
    if (sha256 === undefined) return reject(response, 404, 'NOT_FOUND');
    if (request.method !== 'GET' && request.method !== 'HEAD') return reject(response, 405, 'METHOD_NOT_ALLOWED');
    if (!isPlain(request)) return reject(response, 400, 'MALFORMED_BODY');
    // The origin denies and records a missing token like a bad one.
    const [, downloadToken = ''] = /^Bearer ([\x21-\x7e]{1,6000})$/.exec(request.headers.authorization ?? '') ?? [];
    const blobRequest: BlobRequest<Peer> = { sha256, downloadToken, peer, signal, warming: warmingOf(request) };
    const grant = await this.#origin.authorise(blobRequest);
    if (delta !== null) {
      const have = readHave(request.headers['x-isthmus-have']);
      const bytesPerS = readRate(request.headers['x-isthmus-rate']);
      return this.#delta(response, { ...blobRequest, inflated: delta[1] === 'tar', have, bytesPerS }, grant);
    }
    if (request.method === 'HEAD') return this.#head(response, sha256);
    const opening = this.#origin.open(blobRequest, grant);
    const { signOfLifeMs } = this.#limits;
    const body = await whileWaiting(opening, response, { signOfLifeMs, sign: () => response.writeProcessing() });
    try {
      if (!signal.aborted) await send(request, response, { sha256, body, signOfLifeMs });
    } finally {
      await body.close();
    }
  }

  async #delta(response: ServerResponse, request: DeltaRequest<Peer>, grant: BlobGrant): Promise<void> {
    const { sha256, have, signal } = request;
    const { signOfLifeMs } = this.#limits;
    if (have.length === 0) return reject(response, 400, 'INVALID_FIELD');
    const making = this.#deltaOf(request, grant);
    const body = await whileWaiting(making, response, { signOfLifeMs, sign: () => response.writeProcessing() });
    if (body === undefined) return reject(response, 404, 'NOT_FOUND');
    try {
      if (signal.aborted) return;
      const writeHead = () =>
        response.writeHead(200, {
          ...COMMON_HEADERS,
          'content-length': body.sizeBytes,
          'x-isthmus-delta-from': body.base,
        });
      await pump(body, response, { from: 0, to: body.sizeBytes, signOfLifeMs, writeHead });
      response.end();
    } finally {
      await body.close();
    }
    this.#log.info({ sha256, base: body.base, sizeBytes: body.sizeBytes }, 'served a delta');
  }

  /** Whatever is wrong with a delta: the requester then asks for the whole. */
  async #deltaOf(request: DeltaRequest<Peer>, grant: BlobGrant): Promise<DeltaBody | undefined> {
    try {
      return await this.#origin.delta?.(request, grant);
    } catch (err) {
      this.#log.warn({ err, sha256: request.sha256 }, 'a delta was not made');
      return undefined;
    }
  }

  #head(response: ServerResponse, sha256: string): void {
    const sizeBytes = this.#origin.sizeOf(sha256);
    if (sizeBytes === undefined) return reject(response, 404, 'NOT_FOUND');
    response.writeHead(200, { ...headersOf(sha256), 'content-length': sizeBytes }).end();
  }

  #fail(response: ServerResponse, thrown: unknown): void {
    const error = IsthmusError.from(thrown);
    if (!QUIET_CODES.includes(error.code)) this.#log.warn({ err: error }, 'a blob was not served');
    // The body is incomplete: only a broken connection shows that to the requester.
    if (response.headersSent) {
      response.destroy();
      return;
    }
    reject(response, ERROR_CATALOGUE[error.code].http, error.code);
  }
}

async function send(
  request: IncomingMessage,
  response: ServerResponse,
  { sha256, body, signOfLifeMs }: { readonly sha256: string; readonly body: BlobBody; readonly signOfLifeMs: number },
): Promise<void> {
  const range = chooseRange(request.headers.range, request.headers['if-range'], body.sizeBytes, `"${sha256}"`);
  if (range === 'unsatisfiable') {
    response.setHeader('content-range', `bytes */${body.sizeBytes}`);
    return reject(response, 416, 'INVALID_FIELD');
  }
  const whole: ByteRange = { from: 0, to: body.sizeBytes };
  const { from, to } = range ?? whole;
  const writeHead = () =>
    response.writeHead(range === undefined ? 200 : 206, {
      ...headersOf(sha256),
      'content-length': to - from,
      'cache-status': body.isGrowing ? 'isthmus; fwd=miss' : 'isthmus; hit',
      ...(range === undefined ? {} : { 'content-range': `bytes ${from}-${to - 1}/${body.sizeBytes}` }),
    });
  await pump(body, response, { from, to, signOfLifeMs, writeHead });
  response.end();
}

const COMMON_HEADERS = {
  'content-type': 'application/octet-stream',
  'cache-control': 'private, no-transform',
  'x-content-type-options': 'nosniff',
};

function headersOf(sha256: string): Record<string, string> {
  return {
    ...COMMON_HEADERS,
    'accept-ranges': 'bytes',
    etag: `"${sha256}"`,
    'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
  };
}

/** The digests that a requester has; none when there are too many, or one is none. */
function readHave(header: string | string[] | undefined): readonly string[] {
  const digests = String(header ?? '').split(',');
  return digests.length <= MOST_BASES && digests.every(isSha256) ? digests : [];
}

function readRate(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^[1-9]\d{0,14}$/.test(header) ? Number(header) : undefined;
}

/** Whether the request has no body, and no header with an effect twice. */
function isPlain(request: IncomingMessage): boolean {
  if (request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) !== 0)
    return false;
  const names = request.rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  return SINGLE_HEADERS.every((single) => names.filter((name) => name === single).length <= 1);
}

/** A short answer that depends only on the code, never on the reason. */
function reject(response: ServerResponse, status: number, code: keyof typeof ERROR_CATALOGUE): void {
  const text = `${code}\n`;
  response.writeHead(status, {
    'content-type': 'text/plain',
    'content-length': text.length,
    'isthmus-code': code,
    'cache-control': 'no-store',
    ...(status === 503 ? { 'retry-after': '1' } : {}),
    // The bytes after an unread body are not a request.
    ...(status === 400 ? { connection: 'close' } : {}),
  });
  response.end(text);
}

// An origin that speaks the real wire over real TLS sockets and misbehaves on purpose.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { linkServerOptions } from '../../certs/tls.ts';
import type { TestMesh } from '../support/identities.ts';

export interface Served {
  readonly body: Buffer;
  readonly from: number;
  /** The first byte that is not wanted. */
  readonly to: number;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** How one answer is given. */
export type Behaviour = (served: Served) => void | Promise<void>;

export interface Origin {
  readonly node: string;
  readonly url: string;
  /** Blob requests, in order: path, range and authorization as they came. */
  readonly requests: { url: string; range: string | undefined; authorization: string | undefined }[];
  /** How often it was asked whether it holds the blob. */
  heads: number;
  /** What it says to that. */
  holds: boolean;
  behave(...next: Behaviour[]): void;
}

/** Answers correctly. */
export const good: Behaviour = ({ body, from, to, response }) => {
  head(response, body.length, from, to);
  response.end(body.subarray(from, to));
};

/** Breaks the connection after a share of the whole body. */
export function cutAt(share: number): Behaviour {
  return ({ body, from, response }) => {
    head(response, body.length, from);
    response.write(body.subarray(from, Math.max(from, Math.floor(body.length * share))), () => response.destroy());
  };
}

/** Sends other bytes under the right headers. */
export function wrongBytes(wrong: Buffer): Behaviour {
  return ({ from, to, body, response }) => {
    const end = to === body.length ? wrong.length : to;
    head(response, wrong.length, from, end);
    response.end(wrong.subarray(from, end));
  };
}

/** Announces the whole body and sends less. */
export const short: Behaviour = ({ body, response }) => {
  response.writeHead(200, { 'content-length': body.length - 1000 }).end(body.subarray(0, body.length - 1000));
};

/** Sends a part, then nothing for ever. */
export function stallAt(share: number): Behaviour {
  return ({ body, from, response }) => {
    head(response, body.length, from);
    response.write(body.subarray(from, Math.floor(body.length * share)));
  };
}

/** Sends a slice at a time and waits for `next` in between. */
export function slow(slices: number, next: () => Promise<void>): Behaviour {
  return async ({ body, from, response }) => {
    head(response, body.length, from);
    const size = Math.ceil(body.length / slices);
    for (let at = from; at < body.length && !response.destroyed; at += size) {
      response.write(body.subarray(at, at + size));
      await next();
    }
    response.end();
  };
}

/** Sends a part, then a slice each time. */
export function trickle(share: number, slice: { readonly bytes: number; readonly everyMs: number }): Behaviour {
  return ({ body, from, response }) => {
    head(response, body.length, from);
    let at = Math.max(from, Math.floor(body.length * share));
    response.write(body.subarray(from, at));
    const timer = setInterval(() => void response.write(body.subarray(at, (at += slice.bytes))), slice.everyMs);
    response.once('close', () => clearInterval(timer));
  };
}

/** Takes the request and says nothing. */
export const silent: Behaviour = () => undefined;

/** Answers with a status and no body of use. */
export function status(code: number, headers: Record<string, string> = {}): Behaviour {
  return ({ body, response }) => void response.writeHead(code, headers).end(code === 206 ? body : 'no');
}

function head(response: ServerResponse, size: number, from: number, to = size): void {
  if (from === 0 && to === size) response.writeHead(200, { 'content-length': size });
  else response.writeHead(206, { 'content-length': to - from, 'content-range': `bytes ${from}-${to - 1}/${size}` });
}

/**
 * Starts an origin for one body, as a mirror of the mesh. Each request consumes one behaviour; after the last it
 * answers correctly.
 */
export async function startOrigin(
  mesh: Pick<TestMesh, 'identity'>,
  node: string,
  body: Buffer,
  ...behaviours: Behaviour[]
): Promise<Origin> {
  const identity = await mesh.identity(node, 'mirror');
  const requests: Origin['requests'] = [];
  const queue = [...behaviours];
  const origin = { heads: 0, holds: true };
  const server = createServer(linkServerOptions(identity), (request, response) => {
    const { range, authorization } = request.headers;
    response.on('error', () => undefined);
    if (request.method === 'HEAD') {
      origin.heads += 1;
      response.writeHead(origin.holds ? 200 : 404, { 'content-length': body.length }).end();
      return;
    }
    requests.push({ url: request.url ?? '', range, authorization });
    const [, first = '0', last] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
    const to = Math.min(body.length, Number(last || Infinity) + 1);
    void (queue.shift() ?? good)({ body, from: Number(first), to, request, response });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  const url = `https://127.0.0.1:${port}`;
  return Object.assign(origin, { node, url, requests, behave: (...next: Behaviour[]) => void queue.push(...next) });
}

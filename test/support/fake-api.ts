// A server that speaks the API's transport (TLS under a mesh's authority, JSON, problem documents, server-sent events)
// and answers what a test tells it to. It can misbehave: cut a stream, answer late, hold a wrong certificate.
import { createServer as createHttps, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import type { NodeRole } from '../../contract/nodes.ts';
import { createTestMesh, type TestMesh } from './identities.ts';
import { tempDir } from './temp.ts';

export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

type Answer = (request: SeenRequest, response: ServerResponse) => void;

export interface FakeApi {
  readonly url: string;
  readonly mesh: TestMesh;
  readonly requests: readonly SeenRequest[];
  /** The options that make a command talk to it. */
  readonly args: readonly string[];
  readonly apiKey: string;
  /** Sets the answer to `GET /api/v1/tasks/1`, say. */
  on(methodAndPath: string, answer: Answer): void;
}

interface FakeOptions {
  readonly role?: NodeRole;
  readonly lifetimeMs?: number;
  readonly nowMs?: number;
}

/** Answers with JSON. */
export function json(
  response: ServerResponse,
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** Answers with a problem document. */
export function problem(response: ServerResponse, status: number, code: string, detail: string): void {
  json(
    response,
    { type: `urn:isthmus:error:${code}`, title: code, status, code, detail, remedy: `remedy of ${code}` },
    status,
  );
}

/** Starts one; it is gone when the current test ends. */
export async function startFakeApi(options: FakeOptions = {}): Promise<FakeApi> {
  const mesh = await createTestMesh();
  const { role = 'server', ...times } = options;
  const identity = await mesh.identity('server-1', role, times);
  const answers = new Map<string, Answer>();
  const requests: SeenRequest[] = [];
  const server: Server = createHttps(
    { key: identity.keyPem, cert: identity.certificatePem, minVersion: 'TLSv1.3' },
    (request, response) => {
      void respond(request, response);
    },
  );
  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const seen = {
      method: request.method ?? '',
      url: request.url ?? '',
      headers: request.headers,
      body: await text(request),
    };
    requests.push(seen);
    const answer = answers.get(`${seen.method} ${seen.url.split('?')[0]}`);
    if (answer === undefined) problem(response, 404, 'NOT_FOUND', `nothing at ${seen.url}`);
    else answer(seen, response);
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const folder = await tempDir();
  const apiKey = ['isk', '0123456789', 'k'.repeat(32)].join('_');
  await writeFile(join(folder, 'ca.pem'), mesh.authorityPem);
  await writeFile(join(folder, 'key'), `${apiKey}\n`);
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    mesh,
    requests,
    apiKey,
    args: ['--server', url, '--ca', join(folder, 'ca.pem'), '--api-key-file', join(folder, 'key')],
    on: (methodAndPath, answer) => void answers.set(methodAndPath, answer),
  };
}

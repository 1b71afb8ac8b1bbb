// The one HTTP client of the command line: JSON in, JSON out, problem documents as errors with their own codes.
import { randomUUID } from 'node:crypto';
import { request as httpRequest, type Agent, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import type { Deletion } from '../../contract/deletions.ts';
import type { Problem } from '../../contract/problem.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { agentFor, connectionError } from './connection.ts';
import { ServerError } from './server-error.ts';

export interface Connection {
  readonly server: URL;
  readonly authorityPem: string | undefined;
  readonly apiKey: string | undefined;
  /** The context file that was read for it. */
  readonly contextFile?: string | undefined;
}

export interface Reply<T> {
  readonly status: number;
  readonly body: T;
  readonly etag: string | undefined;
  readonly location: string | undefined;
}

interface RequestOptions {
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly body?: Readable;
  readonly signal?: AbortSignal | undefined;
}

interface Page<T> {
  readonly items: T[];
  readonly next?: string | null;
}

function parse<T>(body: string): T | undefined {
  try {
    return JSON.parse(body) as T;
  } catch {
    return undefined;
  }
}

async function toError(server: URL, response: IncomingMessage): Promise<IsthmusError> {
  const status = response.statusCode ?? 0;
  const problem = parse<Partial<Problem>>(await text(response));
  return problem?.code === undefined ? notIsthmus(server, status) : new ServerError(status, problem.code, problem);
}

/** A proxy without a server behind it, or another program at that port. */
function notIsthmus(server: URL, status: number): IsthmusError {
  return new IsthmusError('SERVER_UNREACHABLE', `what answers at ${server.origin} is not Isthmus (HTTP ${status})`);
}

export class ApiClient {
  readonly server: URL;
  readonly #agent: Agent;
  readonly #apiKey: string | undefined;

  constructor({ server, authorityPem, apiKey }: Connection) {
    this.server = server;
    this.#agent = agentFor(server, authorityPem);
    this.#apiKey = apiKey;
  }

  async get<T>(path: string, query?: RequestOptions['query']): Promise<T> {
    return (await this.request<T>('GET', path, query === undefined ? {} : { query })).body;
  }

  /** Every item of a list, over all its pages. Lists that only grow page by `after`, the others by `cursor`. */
  async list<T>(
    path: string,
    query: RequestOptions['query'] = {},
    paging: 'cursor' | 'after' = 'cursor',
  ): Promise<T[]> {
    const items: T[] = [];
    let next: string | undefined;
    do {
      const position = next === undefined ? {} : { [paging]: next };
      const page = await this.get<Page<T>>(path, { ...query, limit: 500, ...position });
      items.push(...page.items);
      next = page.next ?? undefined;
    } while (next !== undefined);
    return items;
  }

  /** Creates something. Its idempotency key creates it once, even if the request is sent twice. */
  async post<T>(path: string, json?: unknown): Promise<Reply<T>> {
    return this.request<T>('POST', path, { json: json ?? {}, headers: { 'idempotency-key': randomUUID() } });
  }

  /** Reads a resource for its ETag and changes it under that ETag, so that no other change is overwritten unseen. */
  async change<T>(method: 'PATCH' | 'PUT', path: string, json: unknown, read: string = path): Promise<Reply<T>> {
    const headers = await this.#ifAsRead(read);
    return this.request<T>(method, path, { json, headers });
  }

  /** Reads a resource, waits until the user agrees, and deletes it unless it has changed since. */
  async remove(path: string, agreed: () => Promise<void>): Promise<void> {
    const headers = await this.#ifAsRead(path);
    await agreed();
    await this.request('DELETE', path, { headers });
  }

  /**
   * Reads a resource; the returned function deletes it unless it has changed since, or with `dryRun` says what that would
   * remove.
   */
  async deleter(path: string): Promise<(dryRun: boolean) => Promise<Deletion>> {
    const headers = await this.#ifAsRead(path);
    return async (dryRun) => {
      const query = dryRun ? { dryRun: 'true' } : {};
      return (await this.request<Deletion>('DELETE', path, { headers, query })).body;
    };
  }

  async #ifAsRead(path: string): Promise<Record<string, string>> {
    const { etag } = await this.request<unknown>('GET', path, {});
    return etag === undefined ? {} : { 'if-match': etag };
  }

  async request<T>(method: string, path: string, options: RequestOptions): Promise<Reply<T>> {
    const response = await this.open(method, path, options);
    const status = response.statusCode ?? 0;
    const body = await text(response);
    const parsed = parse<T>(body);
    if (parsed === undefined && body !== '') throw notIsthmus(this.server, status);
    return {
      status,
      body: parsed as T,
      etag: response.headers.etag,
      location: response.headers.location,
    };
  }

  /** The response as a stream; throws what the problem document says when the status is 400 or more. */
  async open(method: string, path: string, options: RequestOptions): Promise<IncomingMessage> {
    const response = await this.#send(method, path, options);
    if ((response.statusCode ?? 0) >= 400) throw await toError(this.server, response);
    return response;
  }

  /** Closes the open connections. */
  close(): void {
    this.#agent.destroy();
  }

  #send(
    method: string,
    path: string,
    { query, headers, json, body, signal }: RequestOptions,
  ): Promise<IncomingMessage> {
    const url = new URL(path.startsWith('/') ? path : `/api/v1/${path}`, this.server);
    for (const [name, value] of Object.entries(query ?? {}))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const sent: Record<string, string> = { accept: 'application/json', ...headers };
    if (this.#apiKey !== undefined) sent['authorization'] = `Bearer ${this.#apiKey}`;
    if (json !== undefined) sent['content-type'] = 'application/json';
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const open = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = open(
      url,
      { method, headers: sent, agent: this.#agent, ...(signal === undefined ? {} : { signal }) },
      resolve,
    );
    request.on('error', (error: NodeJS.ErrnoException) =>
      reject(
        signal?.aborted === true ? new IsthmusError('CANCELLED', 'interrupted') : connectionError(this.server, error),
      ),
    );
    if (body === undefined) request.end(json === undefined ? undefined : JSON.stringify(json));
    // A denial may come before the whole body is sent; the response then says more than the broken pipe.
    else pipeline(body, request).catch((error: unknown) => request.destroy(error as Error));
    return promise;
  }
}

/** A path of segments, each percent-encoded. */
export function path(...segments: readonly string[]): string {
  return segments.map((segment) => encodeURIComponent(segment)).join('/');
}

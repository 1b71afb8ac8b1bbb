// The server's API as a test speaks to it: JSON over node:http, over TCP or a unix socket.
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { LineEnding } from '../../contract/task-stream.ts';
import { END_STATES } from '../../contract/tasks.ts';
import { waitFor } from './wait.ts';

export interface ApiAddress {
  readonly host?: string;
  readonly port?: number;
  readonly socketPath?: string;
}

export interface TaskStep {
  readonly step: string;
  readonly action: string;
  readonly state: string;
  readonly exitCode: number | null;
  readonly ticket: string | null;
  readonly error?: { readonly code: string; readonly detail: string | null };
  readonly detail: unknown;
}
export interface TaskAnswer {
  readonly id: string;
  readonly state: string;
  readonly createdAt: number;
  readonly endedAt: number | null;
  readonly error?: { readonly code: string; readonly detail: string | null };
  readonly machines: readonly {
    readonly machine: string;
    readonly state: string;
    readonly steps: readonly TaskStep[];
  }[];
}
export interface LogEntry {
  /** Of a message. */
  readonly level?: string | null;
  readonly kind: 'log' | 'message' | 'state';
  readonly seq: number;
  readonly at: number;
  readonly machine: string;
  readonly ticket: string;
  readonly line: number;
  readonly text: string;
  readonly ending: LineEnding;
  /** Of a message that reports an error. */
  readonly code?: string | null;
}

const endStates: ReadonlySet<string> = new Set(END_STATES);

/** A client with one API key. */
export class Api {
  readonly #address: ApiAddress;
  readonly #key: string;
  // With a time of its own it heeds the server's, and does not send on a connection that is being closed.
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32, timeout: 120_000 });

  constructor(address: ApiAddress, key: string) {
    this.#address = address;
    this.#key = key;
  }

  /** One request; throws with status and body unless it is answered with 2xx. */
  async request<T>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<T> {
    const json = body !== undefined && !Buffer.isBuffer(body);
    const sent = json ? Buffer.from(JSON.stringify(body)) : body;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpRequest(
        {
          ...this.#address,
          agent: this.#agent,
          method,
          path: path.startsWith('/') ? path : `/api/v1/${path}`,
          headers: {
            authorization: `Bearer ${this.#key}`,
            ...(json ? { 'content-type': 'application/json' } : {}),
            ...(sent === undefined ? {} : { 'content-length': sent.length }),
            ...headers,
          },
        },
        resolve,
      );
      request.on('error', reject);
      request.setTimeout(60_000, () => request.destroy(new Error(`no answer to ${method} ${path}`)));
      request.end(sent);
    });
    const answer = await text(response);
    const status = response.statusCode ?? 0;
    if (status < 200 || status >= 300) throw new Error(`${method} ${path}: ${status} ${answer}`);
    const value = (answer === '' ? {} : JSON.parse(answer)) as T;
    const { etag } = response.headers;
    return etag === undefined ? value : { ...value, etag };
  }

  get<T>(path: string): Promise<T> {
    return this.request<T>('GET', path);
  }

  post<T>(path: string, body: unknown = {}, headers: Record<string, string> = {}): Promise<T> {
    return this.request<T>('POST', path, body, headers);
  }

  async put<T>(path: string, body: unknown, read: string = path): Promise<T> {
    const { etag = '' } = await this.get<{ etag?: string }>(read);
    return this.request<T>('PUT', path, body, { 'if-match': etag });
  }

  task(id: string): Promise<TaskAnswer> {
    return this.get<TaskAnswer>(`tasks/${id}`);
  }

  /** Waits for a task's one end; a server that is down for a while is waited for. */
  async ended(id: string, limitMs = 120_000): Promise<TaskAnswer> {
    let last: TaskAnswer | undefined;
    return waitFor(
      async () => {
        last = await this.task(id);
        return endStates.has(last.state) ? last : undefined;
      },
      { limitMs, everyMs: 100, what: `the end of task ${id}` },
    ).catch((failure: Error) => {
      throw new Error(`${failure.message}; ${JSON.stringify(last)}`);
    });
  }

  /** Everything in a task's stream. */
  async stream(id: string): Promise<LogEntry[]> {
    const entries: LogEntry[] = [];
    let after = '0';
    for (;;) {
      const page = await this.get<{ items: LogEntry[]; next?: string }>(`tasks/${id}/log?limit=500&after=${after}`);
      entries.push(...page.items);
      if (page.next === undefined) return entries;
      after = page.next;
    }
  }

  /** Calls back for every event of a task's live stream as it comes; resolves when the stream ends. */
  async follow(id: string, onEvent: (event: { kind: string; data: LogEntry }) => void): Promise<void> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { authorization: `Bearer ${this.#key}`, accept: 'text/event-stream' };
      const path = `/api/v1/tasks/${id}/events`;
      httpRequest({ ...this.#address, agent: false, path, headers }, resolve)
        .on('error', reject)
        .end();
    });
    let kind = '';
    for await (const line of createInterface({ input: response })) {
      if (line.startsWith('event:')) kind = line.slice(6).trim();
      if (line.startsWith('data:')) onEvent({ kind, data: JSON.parse(line.slice(5)) as LogEntry });
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}

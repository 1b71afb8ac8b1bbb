// What a running component tells this machine about itself, in `<dataDir>/status.json`: which version runs as which
// process, and whether it is connected. Only changes are written, and few of them where a link flaps.
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';
import type { IsthmusError } from '../contract/errors.ts';
import { NODE_ROLES } from '../contract/nodes.ts';
import { background } from '../lib/async/background.ts';
import { TokenBucket } from '../lib/async/token-bucket.ts';
import { writeDurably } from '../lib/files/durable.ts';
import { errnoOf } from '../lib/files/disk-space.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import { SOFTWARE_VERSION } from '../lib/version.ts';
import { readBelow } from './no-links.ts';

const FILE_NAME = 'status.json';
/** Whoever owns the data folder may not have a reader take in more than this. */
const MAX_BYTES = 65_536;
const MAX_DETAIL_CHARACTERS = 1_000;
/** A start and the end of an outage are on disk at once; a link that flaps costs six writes a minute. */
const WRITES = { perSecond: 0.1, burst: 6 };
const RETRY_MS = 10_000;

/** What `status.json` holds. Times are milliseconds since 1970. */
export type ComponentStatus = Static<typeof ComponentStatus>;
const ComponentStatus = Type.Object({
  component: Type.Enum(NODE_ROLES),
  version: Type.String({ maxLength: 100 }),
  pid: Type.Integer({ minimum: 1 }),
  startedAt: Type.Integer(),
  /**
   * Of a server: `connected` when its API and its mesh are up. Of a node: when the server has answered its report, until
   * that stream ends.
   */
  state: Type.Enum(['starting', 'connected', 'disconnected']),
  /** When it took this state. */
  since: Type.Integer(),
  /** Why it is disconnected, where it is known: an error code and its message. */
  code: Type.Optional(Type.String({ maxLength: 100 })),
  detail: Type.Optional(Type.String({ maxLength: MAX_DETAIL_CHARACTERS })),
  /** Of a server: the last migration of its database. */
  schema: Type.Optional(Type.String({ maxLength: 100 })),
});

interface StatusFileOptions extends Pick<ComponentStatus, 'component' | 'schema'> {
  readonly dataDir: string;
  readonly log: Logger;
}

/** The `status.json` of this process. Only the process that holds the lock of the data folder may have one. */
export class StatusFile {
  readonly #path: string;
  readonly #log: Logger;
  readonly #writes = new TokenBucket(WRITES.perSecond, WRITES.burst);
  #status: ComponentStatus;
  #retry: NodeJS.Timeout | undefined;

  /** Writes the state `starting`. A file that cannot be written is logged and tried again: it ends no component. */
  constructor({ dataDir, component, schema, log }: StatusFileOptions) {
    const now = Date.now();
    this.#path = join(dataDir, FILE_NAME);
    this.#log = log;
    this.#status = {
      ...{ component, version: SOFTWARE_VERSION, pid: process.pid, startedAt: now, state: 'starting', since: now },
      ...(schema === undefined ? {} : { schema }),
    };
    this.#write();
  }

  connected(): void {
    this.#set('connected');
  }

  disconnected(why?: Pick<IsthmusError, 'code' | 'message'>): void {
    this.#set('disconnected', why);
  }

  /** Ends the attempts to write what could not be written yet. */
  close(): void {
    clearTimeout(this.#retry);
  }

  #set(state: ComponentStatus['state'], why?: Pick<IsthmusError, 'code' | 'message'>): void {
    const { code: codeBefore, detail: _before, ...before } = this.#status;
    if (before.state === state && codeBefore === why?.code) return;
    const since = before.state === state ? before.since : Date.now();
    const detail = why?.message.slice(0, MAX_DETAIL_CHARACTERS).toWellFormed();
    this.#status = { ...before, state, since, ...(why && { code: why.code }), ...(detail && { detail }) };
    // A write that waits for its turn takes the latest status.
    if (this.#retry === undefined) this.#write();
  }

  #write(): void {
    background('status.write', this.#log, () => {
      let isWritten = false;
      try {
        if (!this.#writes.take()) return;
        writeDurably(this.#path, `${JSON.stringify(this.#status)}\n`);
        isWritten = true;
      } finally {
        this.#retry = isWritten ? undefined : setTimeout(() => this.#write(), RETRY_MS).unref();
      }
    });
  }
}

/** Whether this account may not read the status of the component with this data folder. */
export function isStatusHidden(dataDir: string): boolean {
  try {
    accessSync(join(dataDir, FILE_NAME), constants.R_OK);
    return false;
  } catch (thrown) {
    return errnoOf(thrown) === 'EACCES';
  }
}

/**
 * The last status of the component with this data folder, whose process may have ended since. Undefined where there is
 * none that can be believed: no link is followed, and nothing else than a status is read.
 */
export function readStatus(dataDir: string): ComponentStatus | undefined {
  try {
    const content: unknown = JSON.parse(String(readBelow(dataDir, [FILE_NAME], MAX_BYTES)));
    return Value.Check(ComponentStatus, content) ? content : undefined;
  } catch {
    return undefined;
  }
}

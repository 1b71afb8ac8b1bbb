// A script engine for tests: in this process, or as its own process that can be killed (host.ts). A witness file
// outside it, to which every script appends its ticket and pid, shows what was started.
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { newId } from '../../lib/ids.ts';
import { silentLogger, type Logger } from '../../lib/telemetry/log.ts';
import type { ScriptPayload } from '../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import type { ScriptPayload__Output } from '../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import { Journal } from '../../tentacle/journal/journal.ts';
import type { SpooledLine } from '../../tentacle/logs/spool.ts';
import {
  ScriptEngine,
  type EngineOptions,
  type ScriptLimits,
  type ScriptOrder,
} from '../../tentacle/scripts/engine.ts';
import { decodePayload, encodePayload } from '../../tentacle/scripts/payload.ts';
import { resolveScriptUser } from '../../tentacle/scripts/launch/script-user.ts';
import type { StatusMessage } from '../../tentacle/scripts/run/status.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';

export interface TestEngine {
  readonly engine: ScriptEngine;
  readonly journal: Journal;
  /** Lets go of the engine; scripts run on. */
  readonly close: () => Promise<void>;
}

export interface TestEngineOptions {
  readonly limits?: Partial<ScriptLimits>;
  readonly scriptUser?: string;
  readonly log?: Logger;
  readonly releaseFolder?: EngineOptions['releaseFolder'];
}

/** An engine on its own folder. Scripts that still run at the end of the test are killed. */
export async function freshEngine(options: TestEngineOptions = {}): Promise<TestEngine & { readonly dataDir: string }> {
  const dataDir = await tempDir();
  const opened = await openEngine(dataDir, options);
  onTestFinished(async () => {
    await opened.close();
    endScriptsIn(dataDir);
  });
  return { ...opened, dataDir };
}

/** Opens an engine on a data folder. */
export async function openEngine(dataDir: string, options: TestEngineOptions = {}): Promise<TestEngine> {
  const user = await resolveScriptUser(options.scriptUser);
  const journal = await Journal.open(dataDir);
  const engine = await ScriptEngine.open({
    dataDir,
    journal,
    user,
    inherited: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    limits: { killGraceMs: 300, ...options.limits },
    log: options.log ?? silentLogger(),
    releaseFolder: options.releaseFolder ?? (() => Promise.reject(new Error('no applications here'))),
  });
  const close = async (): Promise<void> => {
    await engine.stop();
    await journal.close();
  };
  return { engine, journal, close };
}

/** A complete payload from the fields that a test cares about. */
export function payloadOf(payload: ScriptPayload): ScriptPayload__Output {
  return decodePayload(encodePayload({ interpreter: 'bash', isolation: 'shared', ...payload }));
}

/** An order to run `body`, valid for a minute. */
export function orderOf(
  body: string,
  more: Partial<Omit<ScriptOrder, 'payload'>> & { payload?: ScriptPayload } = {},
): ScriptOrder {
  const { payload, ...rest } = more;
  return {
    ticket: newId(),
    task: newId(),
    epoch: 1,
    expiresAtMs: Date.now() + 60_000,
    ...rest,
    payload: payloadOf({ body, ...payload }),
  };
}

/** Waits for the end of a ticket. */
export async function ended(engine: ScriptEngine, order: ScriptOrder, limitMs = 20_000): Promise<StatusMessage> {
  return waitFor(
    async () => {
      const status = await engine.status(order);
      return status.endedAtMs > 0 ? status : undefined;
    },
    { limitMs, what: `the end of ticket ${order.ticket}` },
  );
}

/** The whole log of a ticket, as spooled. */
export async function logOf(engine: ScriptEngine, order: ScriptOrder): Promise<SpooledLine[]> {
  const spool = (await engine.log(order)).spool();
  const lines: SpooledLine[] = [];
  while (lines.length < spool.lastLine) lines.push(...spool.read(lines.length, 64 * 1024));
  return lines;
}

export function textOf(lines: readonly SpooledLine[], ...streams: SpooledLine['stream'][]): string[] {
  return lines.filter(({ stream }) => streams.length === 0 || streams.includes(stream)).map(({ text }) => text);
}

/** Kills every script that runs in a data folder: scripts outlive their agent, and so a failed test. */
export function endScriptsIn(dataDir: string): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (words.some((word) => word.startsWith(`${dataDir}/tickets/`))) process.kill(-Number(pid), 'SIGKILL');
    } catch {
      // It has ended meanwhile, or leads no group.
    }
  }
}

export interface Witness {
  readonly path: string;
  /** A line of bash that records the start of the script of `ticket`. */
  testify(ticket: string): string;
  /** How often each ticket was started. */
  starts(): Promise<Map<string, number>>;
}

/** A file outside the product that scripts append to. */
export function witnessIn(folder: string): Witness {
  const path = join(folder, 'witness');
  return {
    path,
    testify: (ticket) => `echo "${ticket},$$,$RANDOM" >> '${path}'`,
    async starts() {
      const text = await readFile(path, 'utf8').catch(() => '');
      const counts = new Map<string, number>();
      for (const line of text.split('\n').filter((each) => each !== '')) {
        const ticket = line.split(',')[0]!;
        counts.set(ticket, (counts.get(ticket) ?? 0) + 1);
      }
      return counts;
    },
  };
}

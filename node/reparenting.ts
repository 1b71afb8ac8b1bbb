// Moves the node to the parents that the server desires, and keeps the old links until a new one has reached the server:
//
//   settled → trying: links to the desired parents beside the applied ones; the settings name both, for a restart
//           → applied: a desired parent has carried a round trip to the server; the settings name only those
//           → settled: the server has noted it and routes nothing over the old links, which end
//
// Desired parents that are applied already need no trial: links to any other parents being tried end.
import { join } from 'node:path';
import { attempted, background } from '../lib/async/background.ts';
import { Mutex } from '../lib/async/mutex.ts';
import { parseHostPort } from '../lib/net/host-port.ts';
import { permissionsOf, writeDurably } from '../lib/files/durable.ts';
import { IsthmusError, type ErrorCode } from '../contract/errors.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import type { Assignment__Output } from '../proto/gen/isthmus/topology/v1/Assignment.ts';
import type { NodeReport } from '../proto/gen/isthmus/topology/v1/NodeReport.ts';
import { pingThrough } from '../mesh/echo.ts';
import { settingsWithParents } from './settings.ts';
import type { Mesh, ParentConfig } from '../mesh/types.ts';
import { pauseUntil } from '../lib/async/waiting.ts';

/** Between two tries of the desired parents, when no link changes. */
const RETRY_MS = 1_000;
/** For a round trip to the server through a desired parent. */
const CROSS_TIMEOUT_MS = 10_000;
/** Until the settings are written again after the disk failed. */
const DISK_RETRY_MS = 5_000;
/** More than any server desires. */
const MAX_PARENTS = 16;

type Phase =
  | { readonly name: 'settled' }
  /** The version is the server's: it says which desired parents are applied. */
  | { readonly name: 'trying'; readonly version: number }
  | { readonly name: 'applied' };

export interface ReparentingDeps {
  readonly mesh: Pick<Mesh, 'parents' | 'assignParents' | 'links' | 'onLinksChanged' | 'dial'>;
  /** The folder of config.yaml. */
  readonly dataDir: string;
  readonly log: Logger;
}

export class Reparenting {
  readonly #deps: ReparentingDeps;
  readonly #listeners = new Set<() => void>();
  #applied: readonly ParentConfig[];
  /** Those in the settings. */
  #saved: readonly ParentConfig[];
  #version = 0;
  #phase: Phase = { name: 'settled' };
  #errorCode: ErrorCode | '' = '';
  /** Aborts the work of the current phase. */
  #attempt = new AbortController();
  readonly #working = new Mutex();

  constructor(deps: ReparentingDeps) {
    this.#deps = deps;
    this.#applied = configsOf(deps.mesh);
    this.#saved = this.#applied;
  }

  /** For the report: the applied parents, and why desired ones are not applied yet. */
  facts(): Pick<NodeReport, 'parents' | 'parentsVersion' | 'parentsErrorCode'> {
    const parents = this.#applied.map(({ node, address = '' }) => ({ node, address }));
    return { parents, parentsVersion: this.#version, parentsErrorCode: this.#errorCode };
  }

  /** Calls back when the facts change; returns a function that stops it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Applies the desired parents of an Assignment. None: the server has noted the applied ones. */
  assign({ parents: named, parentsVersion: version }: Pick<Assignment__Output, 'parents' | 'parentsVersion'>): void {
    const phase = this.#phase;
    if (named.length === 0) {
      if (phase.name !== 'settled') this.#begin({ name: 'settled' }, (signal) => this.#settle(signal));
      return;
    }
    if (phase.name === 'trying' && phase.version === version) return;
    const parents = named.map(({ node, address }) => (address === '' ? { node } : { node, address }));
    this.#begin({ name: 'trying', version }, (signal) => this.#reparent(parents, version, signal));
  }

  async stop(): Promise<void> {
    this.#attempt.abort();
    await this.#working.idle();
  }

  /** Enters a phase after the work of the one before has ended. */
  #begin(phase: Phase, work: (signal: AbortSignal) => Promise<void>): void {
    this.#attempt.abort();
    this.#attempt = new AbortController();
    const { signal } = this.#attempt;
    this.#phase = phase;
    this.#tell('');
    background('node.reparent', this.#deps.log, () => this.#working.run(() => this.#untilDone(work, signal)));
  }

  /** The server names desired parents once: work that failed is done again. */
  async #untilDone(work: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    for (let done = false; !done && !signal.aborted;) {
      await attempted('node.reparent', this.#deps.log, async () => {
        await work(signal);
        done = true;
      });
      if (!done) await this.#pause(RETRY_MS, signal);
    }
  }

  async #reparent(parents: readonly ParentConfig[], version: number, signal: AbortSignal): Promise<void> {
    const { mesh, log } = this.#deps;
    if (!areValid(parents)) {
      await this.#settle(signal);
      if (!signal.aborted) this.#tell('INVALID_FIELD');
      return;
    }
    if (!areSame(parents, this.#applied)) {
      const both = [...parents, ...this.#applied.filter((old) => !parents.some((each) => isSame(each, old)))];
      await this.#save(both, signal);
      if (signal.aborted) return;
      log.info({ parents }, 'trying the desired parents');
      mesh.assignParents(both);
      while (!signal.aborted && !(await this.#carries(parents, signal))) await this.#pause(RETRY_MS, signal);
    }
    await this.#save(parents, signal);
    if (signal.aborted) return;
    this.#applied = parents;
    this.#version = version;
    this.#phase = { name: 'applied' };
    log.info({ parents }, 'parents applied');
    this.#errorCode = '';
    this.#notify();
  }

  /** Ends the links to all but the applied parents. */
  async #settle(signal: AbortSignal): Promise<void> {
    const { mesh } = this.#deps;
    if (!areSame(configsOf(mesh), this.#applied)) mesh.assignParents(this.#applied);
    await this.#save(this.#applied, signal);
  }

  /** Whether the server answers over the desired link to one of these parents. */
  async #carries(desired: readonly ParentConfig[], signal: AbortSignal): Promise<boolean> {
    const { mesh } = this.#deps;
    let errorCode: ErrorCode = 'UNREACHABLE';
    for (const { up, lastErrorCode, ...parent } of mesh.parents()) {
      if (!desired.some((each) => isSame(each, parent))) continue;
      try {
        if (!up) throw new IsthmusError(lastErrorCode ?? 'UNREACHABLE', 'the link is not up', { hop: parent.node });
        await pingThrough(mesh, parent.node, { deadlineMs: CROSS_TIMEOUT_MS, signal });
        return true;
      } catch (thrown) {
        errorCode = IsthmusError.from(thrown).code;
      }
    }
    if (!signal.aborted) this.#tell(errorCode);
    return false;
  }

  /** Writes the parents into the settings; retries while the disk fails. */
  async #save(parents: readonly ParentConfig[], signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !areSame(parents, this.#saved)) {
      try {
        writeParents(this.#deps.dataDir, parents);
        this.#saved = parents;
      } catch (thrown) {
        const isFull = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOSPC';
        const error = IsthmusError.from(thrown, isFull ? 'DISK_FULL' : 'FILE_UNUSABLE');
        this.#deps.log.error({ code: error.code, err: error.message }, 'the parents cannot be written to the settings');
        this.#tell(error.code);
        await this.#pause(DISK_RETRY_MS, signal);
      }
    }
  }

  #tell(errorCode: ErrorCode | ''): void {
    if (errorCode === this.#errorCode) return;
    this.#errorCode = errorCode;
    this.#notify();
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Waits for a link to change, at most so long. */
  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return pauseUntil((wake) => this.#deps.mesh.onLinksChanged(wake), { ms, signals: [signal] });
  }
}

function writeParents(dataDir: string, parents: readonly ParentConfig[]): void {
  const file = join(dataDir, 'config.yaml');
  writeDurably(file, settingsWithParents(dataDir, parents), permissionsOf(file));
}

function configsOf(mesh: Pick<Mesh, 'parents'>): ParentConfig[] {
  return mesh.parents().map(({ node, address }) => (address === undefined ? { node } : { node, address }));
}

function areValid(parents: readonly ParentConfig[]): boolean {
  return (
    parents.length <= MAX_PARENTS &&
    parents.every(({ address }) => address === undefined || parseHostPort(address) !== undefined)
  );
}

function isSame(a: ParentConfig, b: ParentConfig): boolean {
  return a.node === b.node && a.address === b.address;
}

function areSame(a: readonly ParentConfig[], b: readonly ParentConfig[]): boolean {
  return a.length === b.length && a.every((each, index) => isSame(each, b[index]!));
}

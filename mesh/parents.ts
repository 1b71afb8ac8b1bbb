// Goes over to other parents when the server says so, without giving up what carries before something else does:
//
//   settled → trying: links to the new parents beside those of before; the settings name both, so that a restart knows both
//           → taken: one new parent has carried a round trip to the server; the settings name the new ones alone
//           → settled: the server has taken note, so nothing goes by the old links any more, and they end
//
// A wish for the parents that it has is taken at once: whatever others were being tried leave nothing behind.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Mutex } from '../lib/async/mutex.ts';
import { parseHostPort } from '../lib/net/host-port.ts';
import { writeDurably } from '../lib/durable.ts';
import { IsthmusError, type ErrorCode } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { Assignment__Output } from '../proto/gen/isthmus/topology/v1/Assignment.ts';
import type { NodeReport } from '../proto/gen/isthmus/topology/v1/NodeReport.ts';
import { pingThrough } from './echo.ts';
import { settingsWithParents } from './enrol/settings.ts';
import type { Mesh, ParentConfig } from './types.ts';

/** Between two looks at the new parents, when no link changes. */
const lookMs = 1_000;
/** For a round trip to the server through a new parent. */
const crossMs = 10_000;
/** Until a disk that did not take the settings is tried again. */
const diskMs = 5_000;
/** More than any server names. */
const mostParents = 16;

type Phase =
  | { readonly name: 'settled' }
  /** The version is the server's, by which it knows which wish was taken. */
  | { readonly name: 'trying'; readonly version: number }
  | { readonly name: 'taken' };

export interface ParentsDeps {
  readonly mesh: Pick<Mesh, 'parents' | 'assignParents' | 'links' | 'onLinksChanged' | 'dial'>;
  /** Where config.yaml is. */
  readonly dataDir: string;
  readonly log: Logger;
}

export class Parents {
  readonly #deps: ParentsDeps;
  readonly #listeners = new Set<() => void>();
  #taken: readonly ParentConfig[];
  /** As the settings name them. */
  #kept: readonly ParentConfig[];
  #version = 0;
  #phase: Phase = { name: 'settled' };
  #errorCode: ErrorCode | '' = '';
  /** Aborts what is being done to come into the present phase, or out of it. */
  #attempt = new AbortController();
  readonly #working = new Mutex();

  constructor(deps: ParentsDeps) {
    this.#deps = deps;
    this.#taken = configsOf(deps.mesh);
    this.#kept = this.#taken;
  }

  /** What the server is told: the parents that were taken, and why others are not yet. */
  facts(): Pick<NodeReport, 'parents' | 'parentsVersion' | 'parentsErrorCode'> {
    const parents = this.#taken.map(({ node, address = '' }) => ({ node, address }));
    return { parents, parentsVersion: this.#version, parentsErrorCode: this.#errorCode };
  }

  /** Calls back when there are other facts to tell; the answer stops that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Takes what an Assignment says of the parents; none: the server has nothing more to say of them. */
  assign({ parents: named, parentsVersion: version }: Pick<Assignment__Output, 'parents' | 'parentsVersion'>): void {
    const phase = this.#phase;
    if (named.length === 0) {
      if (phase.name !== 'settled') this.#begin({ name: 'settled' }, (signal) => this.#settle(signal));
      return;
    }
    if (phase.name === 'trying' && phase.version === version) return;
    const parents = named.map(({ node, address }) => (address === '' ? { node } : { node, address }));
    this.#begin({ name: 'trying', version }, (signal) => this.#goOver(parents, version, signal));
  }

  async stop(): Promise<void> {
    this.#attempt.abort();
    await this.#working.idle();
  }

  /** Enters a phase; what the one before still does ends first. */
  #begin(phase: Phase, work: (signal: AbortSignal) => Promise<void>): void {
    this.#attempt.abort();
    this.#attempt = new AbortController();
    const { signal } = this.#attempt;
    this.#phase = phase;
    this.#tell('');
    void this.#working.run(() => work(signal));
  }

  async #goOver(parents: readonly ParentConfig[], version: number, signal: AbortSignal): Promise<void> {
    const { mesh, log } = this.#deps;
    if (!arePossible(parents)) {
      await this.#settle(signal);
      if (!signal.aborted) this.#tell('INVALID_FIELD');
      return;
    }
    if (!areSame(parents, this.#taken)) {
      const both = [...parents, ...this.#taken.filter((old) => !parents.some((each) => isSame(each, old)))];
      await this.#keep(both, signal);
      if (signal.aborted) return;
      log.info({ parents }, 'other parents are being tried');
      mesh.assignParents(both);
      while (!signal.aborted && !(await this.#carries(parents, signal))) await this.#pause(lookMs, signal);
    }
    await this.#keep(parents, signal);
    if (signal.aborted) return;
    this.#taken = parents;
    this.#version = version;
    this.#phase = { name: 'taken' };
    log.info({ parents }, 'parents taken');
    this.#errorCode = '';
    this.#notify();
  }

  /** Leaves nothing of other parents than those that were taken. */
  async #settle(signal: AbortSignal): Promise<void> {
    const { mesh } = this.#deps;
    if (!areSame(configsOf(mesh), this.#taken)) mesh.assignParents(this.#taken);
    await this.#keep(this.#taken, signal);
  }

  /** Whether the server answers through one of these parents, linked as the wish has it. */
  async #carries(wish: readonly ParentConfig[], signal: AbortSignal): Promise<boolean> {
    const { mesh } = this.#deps;
    let errorCode: ErrorCode = 'UNREACHABLE';
    for (const { up, lastErrorCode, ...parent } of mesh.parents()) {
      if (!wish.some((each) => isSame(each, parent))) continue;
      try {
        if (!up) throw new IsthmusError(lastErrorCode ?? 'UNREACHABLE', 'the link is not up', { hop: parent.node });
        await pingThrough(mesh, parent.node, { deadlineMs: crossMs, signal });
        return true;
      } catch (thrown) {
        errorCode = IsthmusError.from(thrown).code;
      }
    }
    if (!signal.aborted) this.#tell(errorCode);
    return false;
  }

  /** Writes the parents into the settings, as soon as the disk takes them. */
  async #keep(parents: readonly ParentConfig[], signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !areSame(parents, this.#kept)) {
      try {
        writeParents(this.#deps.dataDir, parents);
        this.#kept = parents;
      } catch (thrown) {
        const isFull = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOSPC';
        const error = IsthmusError.from(thrown, isFull ? 'DISK_FULL' : 'FILE_UNUSABLE');
        this.#deps.log.error({ code: error.code, err: error.message }, 'the parents cannot be kept');
        this.#tell(error.code);
        await this.#pause(diskMs, signal);
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

  /** Until a link changes, but no longer than that. */
  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        unwatch();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      const unwatch = this.#deps.mesh.onLinksChanged(done);
      signal.addEventListener('abort', done, { once: true });
      if (signal.aborted) done();
    });
  }
}

function writeParents(dataDir: string, parents: readonly ParentConfig[]): void {
  const file = join(dataDir, 'config.yaml');
  const mode = existsSync(file) ? statSync(file).mode & 0o777 : 0o644;
  writeDurably(file, settingsWithParents(dataDir, parents), mode);
}

function configsOf(mesh: Pick<Mesh, 'parents'>): ParentConfig[] {
  return mesh.parents().map(({ node, address }) => (address === undefined ? { node } : { node, address }));
}

function arePossible(parents: readonly ParentConfig[]): boolean {
  return (
    parents.length <= mostParents &&
    parents.every(({ address }) => address === undefined || parseHostPort(address) !== undefined)
  );
}

function isSame(a: ParentConfig, b: ParentConfig): boolean {
  return a.node === b.node && a.address === b.address;
}

function areSame(a: readonly ParentConfig[], b: readonly ParentConfig[]): boolean {
  return a.length === b.length && a.every((each, index) => isSame(each, b[index]!));
}

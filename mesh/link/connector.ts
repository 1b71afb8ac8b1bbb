// Keeps up one link that this node dials: connects, serves the session, backs off with jitter, connects again.
//
//   connecting → serving → backoff → connecting …   and stopped from any of them
import { backoffMs } from '../../lib/async/backoff.ts';
import { withDeadline } from '../../lib/async/deadline.ts';
import { ERROR_CATALOGUE, IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { pause } from '../../lib/async/waiting.ts';
import type { MeshLimits } from '../limits.ts';
import type { LinkSession } from './session.ts';
import type { Link } from './table.ts';

type Phase =
  | { readonly name: 'connecting' }
  | { readonly name: 'serving'; readonly session: LinkSession }
  | { readonly name: 'backoff'; readonly untilMs: number }
  | { readonly name: 'stopped' };

interface Attempt {
  /** Whether the one before ended with the same error. */
  readonly isSame: boolean;
  readonly failures: number;
  readonly waitMs: number;
}

/** How one attempt ended. */
type Outcome =
  | { readonly kind: 'served'; readonly forMs: number; readonly error: IsthmusError }
  | { readonly kind: 'failed'; readonly error: IsthmusError };

/** The failures that a flapping link counts as: a wait of at most 1.6 s. */
const FLAPPING_FAILURES = 3;

export interface ConnectorDeps {
  readonly limits: Pick<MeshLimits, 'handshakeMs' | 'backoffBaseMs' | 'backoffCapMs' | 'stableMs'>;
  readonly log: Logger;
  dial(signal: AbortSignal): Promise<LinkSession>;
  /** Puts the session into the table and starts it. */
  serve(session: LinkSession): void;
  /** Resolves when no session of the neighbour keeps this link from being dialled. */
  whenFree(signal: AbortSignal): Promise<void>;
}

export class Connector {
  readonly link: Link;
  readonly #deps: ConnectorDeps;
  readonly #stopped = new AbortController();
  #phase: Phase = { name: 'connecting' };
  readonly #done: Promise<void>;

  constructor(link: Link, deps: ConnectorDeps) {
    this.link = link;
    this.#deps = deps;
    this.#done = this.#run();
  }

  get phase(): Phase['name'] {
    return this.#phase.name;
  }

  /** Stops connecting and ends the session. */
  async stop(): Promise<void> {
    const phase = this.#phase;
    this.#stopped.abort(new IsthmusError('CANCELLED', 'the link is no longer wanted'));
    if (phase.name === 'serving') phase.session.end(new IsthmusError('CANCELLED', 'the node is stopping'), true);
    await this.#done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    const { limits } = this.#deps;
    let failures = 0;
    while (!signal.aborted) {
      const outcome = await this.#attempt(signal);
      if (signal.aborted) break;
      const isSame = this.link.lastErrorCode === outcome.error.code;
      this.link.lastErrorCode = outcome.error.code;
      failures = failuresAfter(outcome, failures, limits.stableMs);
      const waitMs = backoffMs(failures, { baseMs: limits.backoffBaseMs, capMs: limits.backoffCapMs });
      this.#tell(outcome, { isSame, failures, waitMs });
      this.#phase = { name: 'backoff', untilMs: Date.now() + waitMs };
      await pause(waitMs, signal);
    }
    this.#phase = { name: 'stopped' };
  }

  #tell({ kind, error }: Outcome, { isSame, failures, waitMs }: Attempt): void {
    const { log } = this.#deps;
    const { code, message: err } = error;
    const facts = { peer: this.link.name, code, err, failures, waitMs };
    const message = kind === 'served' ? 'link lost' : 'link not up';
    // For a peer that is away for days only the attempts 1, 2, 4, 8 … are worth a line.
    const isWorthLine = kind === 'served' ? !isDenied(error) : Number.isInteger(Math.log2(failures));
    if (isSame && !isWorthLine) log.debug(facts, message);
    else if (isSame || code !== 'PEER_CERTIFICATE_REVOKED') log.info(facts, message);
    else log.warn({ ...facts, remedy: ERROR_CATALOGUE[code].remedy }, message);
  }

  async #attempt(signal: AbortSignal): Promise<Outcome> {
    this.#phase = { name: 'connecting' };
    const deps = this.#deps;
    let session: LinkSession;
    try {
      await deps.whenFree(signal);
      const ms = deps.limits.handshakeMs;
      const late = () => new IsthmusError('DEADLINE_EXCEEDED', `the handshake took longer than ${ms} ms`);
      session = await withDeadline({ ms, late, signals: [signal] }, (limited) => deps.dial(limited));
    } catch (thrown) {
      return { kind: 'failed', error: IsthmusError.from(thrown, 'UNREACHABLE') };
    }
    const startedMs = performance.now();
    const ended = new Promise<IsthmusError>((resolve) => {
      const end = () => resolve(IsthmusError.from(session.signal.reason, 'UNREACHABLE'));
      if (session.signal.aborted) end();
      else session.signal.addEventListener('abort', end, { once: true });
    });
    if (signal.aborted) session.end(new IsthmusError('CANCELLED', 'the node is stopping'), true);
    else serve(session, deps);
    this.#phase = { name: 'serving', session };
    return { kind: 'served', error: await ended, forMs: performance.now() - startedMs };
  }
}

/** A session that cannot be served ends, and the link is dialled again. */
function serve(session: LinkSession, deps: ConnectorDeps): void {
  try {
    deps.serve(session);
  } catch (thrown) {
    session.end(IsthmusError.from(thrown), true);
  }
}

/** A session that came up proves that the peer is reachable: earlier failures count only as flapping. */
function failuresAfter(outcome: Outcome, before: number, stableMs: number): number {
  if (outcome.kind === 'failed' || isDenied(outcome.error)) return before + 1;
  return outcome.forMs >= stableMs ? 0 : Math.min(before + 1, FLAPPING_FAILURES);
}

/** A copy of a node stays one: its session came up only to be ended by the server. */
function isDenied(error: IsthmusError): boolean {
  return error.code === 'NODE_CLONED';
}

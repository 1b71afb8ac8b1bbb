// Renewed certificates on end-to-end sessions. The bytes of a session belong to gRPC or HTTP, so the proof travels
// beside it: late in the life of a certificate the endpoint that opened the session opens the service `credential` on
// the same node, names the session, shows its current certificate signed over that session, and gets the other's in
// return (certs/credential.ts).
import { background } from '../../lib/async/background.ts';
import {
  judgeCredential,
  proveCredential,
  sessionName,
  type Credential,
  type TlsSide,
} from '../../certs/credential.ts';
import { BACKDATE_MS } from '../../certs/keys.ts';
import { readIdentity, type PeerIdentity } from '../../certs/peer.ts';
import { LongTimer } from '../../lib/async/long-timer.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Credential__Output } from '../../proto/gen/isthmus/mesh/v1/Credential.ts';
import type { DialOptions, MeshStream } from '../types.ts';
import { sessionCredentialAnswerCodec, sessionCredentialCodec } from '../wire.ts';
import { CREDENTIAL_SERVICE } from '../services.ts';
import type { Trust } from '../trust.ts';
import type { OpenSessions } from './open-sessions.ts';
import { framed, readFrame } from '../tunnel/frame.ts';
import { decodeDenial, encodeDenial } from '../tunnel/request.ts';
import { closeWithin } from '../../lib/async/deadline.ts';

/**
 * When a session is due, as a share of the certificate's life: after the renewal at two thirds, and spread over hours,
 * so that the sessions of a thousand nodes with one server do not come at once.
 */
const DUE_SHARE = { from: 0.68, to: 0.75 } as const;
/** A renewal may be late: the next try comes after this share of the remaining time, at most once a second. */
const RETRY_SHARE = 0.25;
const RETRY_MS = 1_000;
/** A session opened late in a certificate's life gets this share of the remaining time first: most end within it. */
const GRACE_SHARE = 0.1;
const EXCHANGE_TIMEOUT_MS = 20_000;

/** The session has ended there, or the service may not be opened: a retry would not help. */
const FINAL_CODES: ReadonlySet<string> = new Set(['SERVICE_UNKNOWN', 'DIRECTION', 'SESSION_UNKNOWN']);

/** How the session was dialled, so that `credential` reaches the same node by the same path. */
export type SessionRoute = Pick<DialOptions, 'node' | 'path'>;

interface KeptSession {
  readonly stream: MeshStream;
  readonly route: SessionRoute;
  /** This node, by the certificate that the other endpoint knows. */
  own: PeerIdentity;
  timer: LongTimer | undefined;
}

export interface SessionCredentialsDeps {
  readonly trust: Trust;
  readonly sessions: OpenSessions;
  readonly log: Logger;
  dial(options: DialOptions): Promise<MeshStream>;
}

export class SessionCredentials {
  readonly #deps: SessionCredentialsDeps;

  constructor(deps: SessionCredentialsDeps) {
    this.#deps = deps;
  }

  /** Carries a session that this node opened over renewals of either certificate, until it closes. */
  keep(stream: MeshStream, route: SessionRoute): void {
    const own = ownIdentity(stream);
    if (own === undefined) return;
    const kept: KeptSession = { stream, route, own, timer: undefined };
    stream.once('close', () => kept.timer?.stop());
    this.#schedule(kept, Date.now() + leftMs(kept) * GRACE_SHARE);
  }

  /** Serves `credential`: verifies the opening endpoint's certificate and shows this node's. */
  async answer(stream: MeshStream): Promise<void> {
    stream.on('error', () => undefined);
    closeWithin(stream, EXCHANGE_TIMEOUT_MS);
    try {
      const { session, credential } = sessionCredentialCodec.decode(await readFrame(stream));
      const named = this.#deps.sessions.openedBy(stream.peer.node, session);
      if (named === undefined) {
        throw new IsthmusError('SESSION_UNKNOWN', `${stream.peer.node} has no such session here`);
      }
      this.#verify(named, 'client', credential);
      stream.end(framed(sessionCredentialAnswerCodec.encode({ credential: await this.#prove(named, 'server') })));
    } catch (thrown) {
      const error = IsthmusError.from(thrown, 'PROTOCOL');
      this.#denied(stream.peer.node, error);
      const denial = encodeDenial(error, this.#deps.trust.identity.current().node);
      if (!stream.destroyed) stream.end(framed(sessionCredentialAnswerCodec.encode({ error: denial })));
    } finally {
      stream.destroySoon();
    }
  }

  #schedule(kept: KeptSession, notBeforeMs: number): void {
    if (kept.stream.destroyed) return;
    const atMs = Math.max(notBeforeMs, Math.min(dueMs(kept.own), dueMs(kept.stream.peer)));
    const renew = (): void => background('session.credential', this.#deps.log, () => this.#renew(kept));
    kept.timer = new LongTimer(atMs, renew, { keepsAlive: false });
  }

  async #renew(kept: KeptSession): Promise<void> {
    try {
      await this.#exchange(kept);
    } catch (thrown) {
      const error = IsthmusError.from(thrown, 'UNREACHABLE');
      const { node } = kept.stream.peer;
      this.#deps.log.debug({ peer: node, code: error.code, err: error.message }, 'session not renewed yet');
      if (FINAL_CODES.has(error.code)) return;
    }
    this.#schedule(kept, Date.now() + Math.max(RETRY_MS, leftMs(kept) * RETRY_SHARE));
  }

  async #exchange(kept: KeptSession): Promise<void> {
    const { stream, route } = kept;
    const own = this.#deps.trust.identity.peer();
    const beside = await this.#deps.dial({
      ...{ node: route.node, path: route.path, service: CREDENTIAL_SERVICE },
      ...{ class: 'control', deadlineMs: EXCHANGE_TIMEOUT_MS },
    });
    closeWithin(beside, EXCHANGE_TIMEOUT_MS);
    try {
      if (beside.peer.node !== stream.peer.node) {
        throw new IsthmusError('UNREACHABLE', `${beside.peer.node} answered in place of ${stream.peer.node}`);
      }
      const credential = await this.#prove(stream, 'client');
      beside.write(framed(sessionCredentialCodec.encode({ session: sessionName(stream), credential })));
      const answer = sessionCredentialAnswerCodec.decode(await readFrame(beside));
      if (answer.error) throw decodeDenial(answer.error, stream.peer.node);
      kept.own = own;
      this.#verify(stream, 'server', answer.credential);
    } finally {
      beside.destroy();
    }
  }

  #prove(stream: MeshStream, sender: TlsSide): Promise<Credential> {
    if (stream.destroyed) throw new IsthmusError('SESSION_UNKNOWN', 'the session has ended');
    return proveCredential({ socket: stream, sender }, this.#deps.trust.identity.current());
  }

  #verify(stream: MeshStream, sender: TlsSide, credential: Credential__Output | null): void {
    const known = stream.peer;
    if (!credential) throw new IsthmusError('PROTOCOL', `${known.node} showed no certificate`);
    const { identity, revocations } = this.#deps.trust;
    const rules = { trust: identity.current(), revocations, known };
    const peer = judgeCredential({ socket: stream, sender }, credential, rules);
    if (peer.serialNumber === known.serialNumber) return;
    this.#deps.sessions.proved(stream, peer);
    const notAfter = new Date(peer.notAfterMs).toISOString();
    this.#deps.log.debug({ peer: peer.node, notAfter }, 'session continues under a renewed certificate');
  }

  #denied(node: string, error: IsthmusError): void {
    this.#deps.trust.denials.record(error, node, CREDENTIAL_SERVICE);
    this.#deps.log.info({ peer: node, code: error.code, err: error.message }, 'session not renewed');
  }
}

function ownIdentity(stream: MeshStream): PeerIdentity | undefined {
  const shown = stream.getX509Certificate();
  return shown && readIdentity(shown);
}

/** A random time after the usual renewal. */
function dueMs({ notBeforeMs, notAfterMs }: PeerIdentity): number {
  const issuedAtMs = notBeforeMs + BACKDATE_MS;
  const share = DUE_SHARE.from + Math.random() * (DUE_SHARE.to - DUE_SHARE.from);
  return issuedAtMs + (notAfterMs - issuedAtMs) * share;
}

/** The time until the first of the two certificates expires. */
function leftMs({ own, stream }: KeptSession): number {
  return Math.max(0, Math.min(own.notAfterMs, stream.peer.notAfterMs) - Date.now());
}

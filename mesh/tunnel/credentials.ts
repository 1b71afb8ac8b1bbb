// Renewed certificates on inner sessions. Their bytes belong to gRPC and HTTP, so what a link says in between, an inner
// session says beside itself: late in the life of a certificate the end that opened the session opens the service
// `credential` on the same node, names the session, shows its present certificate signed over that session, and gets
// the other end's likewise (certs/credential.ts). No byte of the session moves. A node that does not have the service
// leaves its sessions to end with the certificate they began with.
import {
  judgeCredential,
  proveCredential,
  sessionName,
  type Credential,
  type TlsSide,
} from '../../certs/credential.ts';
import { backdateMs } from '../../certs/certificate.ts';
import { readIdentity, type PeerIdentity } from '../../certs/peer.ts';
import { LongTimer } from '../../lib/async/long-timer.ts';
import { IsthmusError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Credential__Output } from '../../proto/gen/isthmus/mesh/v1/Credential.ts';
import type { DialOptions, MeshStream } from '../types.ts';
import { sessionCredentialAnswerCodec, sessionCredentialCodec } from '../wire.ts';
import type { OpenEnds } from './ends.ts';
import { framed, readFrame } from './frame.ts';
import type { InnerTrust } from './inner.ts';
import { decodeRefusal, encodeRefusal } from './request.ts';

export const credentialService = 'credential';

/**
 * Certificates are renewed by two thirds of their lives. After that, and spread over hours so that the sessions of a
 * thousand nodes with one server do not come at once, what was renewed is there to be shown.
 */
const dueShare = { from: 0.68, to: 0.75 } as const;
/** A renewal may come late: asked again after this part of what is left, and not more often than each second. */
const againShare = 0.25;
const againMs = 1_000;
/** A session opened late in a certificate's life is given some time before it costs another: most are over by then. */
const graceShare = 0.1;
const exchangeMs = 20_000;

/** Nodes that do not have the service, or not this session any more: asking again would not help. */
const final: ReadonlySet<string> = new Set(['SERVICE_UNKNOWN', 'DIRECTION', 'SESSION_UNKNOWN']);

/** How the session was dialled, so that the same node is reached the same way. */
export type Dialled = Pick<DialOptions, 'node' | 'path'>;

interface Kept {
  readonly stream: MeshStream;
  readonly dialled: Dialled;
  /** This node, by the certificate that the other end knows. */
  own: PeerIdentity;
  timer: LongTimer | undefined;
}

export interface InnerCredentialsDeps {
  readonly trust: InnerTrust;
  readonly ends: OpenEnds;
  readonly log: Logger;
  dial(options: DialOptions): Promise<MeshStream>;
}

export class InnerCredentials {
  readonly #deps: InnerCredentialsDeps;

  constructor(deps: InnerCredentialsDeps) {
    this.#deps = deps;
  }

  /** Keeps a session that this node opened going on when certificates of its ends are renewed, until it closes. */
  keep(stream: MeshStream, dialled: Dialled): void {
    const own = ownIdentity(stream);
    if (own === undefined) return;
    const kept: Kept = { stream, dialled, own, timer: undefined };
    stream.once('close', () => kept.timer?.stop());
    this.#schedule(kept, Date.now() + leftMs(kept) * graceShare);
  }

  /** Serves `credential`: takes what the opening end of a session shows, and shows this node's. */
  async answer(stream: MeshStream): Promise<void> {
    stream.on('error', () => undefined);
    const limit = setTimeout(() => stream.destroy(), exchangeMs);
    try {
      const { session, credential } = sessionCredentialCodec.decode(await readFrame(stream));
      const named = this.#deps.ends.openedBy(stream.peer.node, session);
      if (named === undefined) {
        throw new IsthmusError('SESSION_UNKNOWN', `${stream.peer.node} has no such session here`);
      }
      this.#take(named, 'client', credential);
      stream.end(framed(sessionCredentialAnswerCodec.encode({ credential: await this.#prove(named, 'server') })));
    } catch (thrown) {
      const error = IsthmusError.from(thrown, 'PROTOCOL');
      this.#refused(stream.peer.node, error);
      const refusal = encodeRefusal(error, this.#deps.trust.identity.current().node);
      if (!stream.destroyed) stream.end(framed(sessionCredentialAnswerCodec.encode({ error: refusal })));
    } finally {
      clearTimeout(limit);
      stream.destroySoon();
    }
  }

  #schedule(kept: Kept, notBeforeMs: number): void {
    if (kept.stream.destroyed) return;
    const atMs = Math.max(notBeforeMs, Math.min(dueMs(kept.own), dueMs(kept.stream.peer)));
    kept.timer = new LongTimer(atMs, () => void this.#turn(kept), { keepsAlive: false });
  }

  async #turn(kept: Kept): Promise<void> {
    try {
      await this.#exchange(kept);
    } catch (thrown) {
      const error = IsthmusError.from(thrown, 'UNREACHABLE');
      const { node } = kept.stream.peer;
      this.#deps.log.debug({ peer: node, code: error.code, err: error.message }, 'session not carried on yet');
      if (final.has(error.code)) return;
    }
    this.#schedule(kept, Date.now() + Math.max(againMs, leftMs(kept) * againShare));
  }

  async #exchange(kept: Kept): Promise<void> {
    const { stream, dialled } = kept;
    const own = this.#deps.trust.identity.peer();
    const beside = await this.#deps.dial({
      ...{ node: dialled.node, path: dialled.path, service: credentialService },
      ...{ class: 'control', deadlineMs: exchangeMs },
    });
    const limit = setTimeout(() => beside.destroy(), exchangeMs);
    try {
      if (beside.peer.node !== stream.peer.node) {
        throw new IsthmusError('UNREACHABLE', `${beside.peer.node} answered in place of ${stream.peer.node}`);
      }
      const credential = await this.#prove(stream, 'client');
      beside.write(framed(sessionCredentialCodec.encode({ session: sessionName(stream), credential })));
      const answer = sessionCredentialAnswerCodec.decode(await readFrame(beside));
      if (answer.error) throw decodeRefusal(answer.error, stream.peer.node);
      kept.own = own;
      this.#take(stream, 'server', answer.credential);
    } finally {
      clearTimeout(limit);
      beside.destroy();
    }
  }

  #prove(stream: MeshStream, sender: TlsSide): Promise<Credential> {
    if (stream.destroyed) throw new IsthmusError('SESSION_UNKNOWN', 'the session has ended');
    return proveCredential({ socket: stream, sender }, this.#deps.trust.identity.current());
  }

  #take(stream: MeshStream, sender: TlsSide, credential: Credential__Output | null): void {
    const known = stream.peer;
    if (!credential) throw new IsthmusError('PROTOCOL', `${known.node} showed no certificate`);
    const { identity, revocations } = this.#deps.trust;
    const rules = { trust: identity.current(), revocations, known };
    const peer = judgeCredential({ socket: stream, sender }, credential, rules);
    if (peer.serialNumber === known.serialNumber) return;
    this.#deps.ends.proved(stream, peer);
    const notAfter = new Date(peer.notAfterMs).toISOString();
    this.#deps.log.debug({ peer: peer.node, notAfter }, 'session goes on under a new certificate');
  }

  #refused(node: string, error: IsthmusError): void {
    this.#deps.trust.refusals.note(error, node, credentialService);
    this.#deps.log.info({ peer: node, code: error.code, err: error.message }, 'session not carried on');
  }
}

function ownIdentity(stream: MeshStream): PeerIdentity | undefined {
  const shown = stream.getX509Certificate();
  return shown && readIdentity(shown);
}

/** A random moment between the end of the usual time of renewal and a while later. */
function dueMs({ notBeforeMs, notAfterMs }: PeerIdentity): number {
  const issuedAtMs = notBeforeMs + backdateMs;
  const share = dueShare.from + Math.random() * (dueShare.to - dueShare.from);
  return issuedAtMs + (notAfterMs - issuedAtMs) * share;
}

/** Until the first of the two certificates expires. */
function leftMs({ own, stream }: Kept): number {
  return Math.max(0, Math.min(own.notAfterMs, stream.peer.notAfterMs) - Date.now());
}

// Renewed certificates on live links. A session ends when its peer's certificate expires, unless the peer has shown a
// newer one in it by then (certs/credential.ts). Revocation follows the newest. Bulk connections live and end with
// their session.
import { background } from '../../lib/async/background.ts';
import { judgeCredential, proveCredential, type TlsSide } from '../../certs/credential.ts';
import { LongTimer } from '../../lib/async/long-timer.ts';
import { Mutex } from '../../lib/async/mutex.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Credential__Output } from '../../proto/gen/isthmus/mesh/v1/Credential.ts';
import type { Trust } from '../trust.ts';
import type { LinkSession } from './session.ts';

interface WatchedSession {
  readonly expiry: LongTimer;
  /** Serial number of the certificate that this node has shown last. */
  shown: string | undefined;
}

const OTHER_SIDE = { client: 'server', server: 'client' } as const satisfies Record<TlsSide, TlsSide>;

export class LinkCredentials {
  readonly #trust: Trust;
  readonly #log: Logger;
  readonly #watched = new Map<LinkSession, WatchedSession>();
  readonly #unsubscribe: () => void;
  /** One after the other: certificates must not overtake each other, nor a thousand signatures come at once. */
  readonly #showing = new Mutex();

  constructor(trust: Trust, log: Logger) {
    this.#trust = trust;
    this.#log = log;
    this.#unsubscribe = trust.identity.onChange(() => {
      for (const session of this.#watched.keys()) this.#showSoon(session);
    });
  }

  /** Watches a session from its start to its end. */
  add(session: LinkSession): void {
    const { peer } = session.facts;
    const expired = () =>
      session.end(new IsthmusError('PEER_CERTIFICATE_EXPIRED', `the certificate of ${peer.node} has expired`));
    const expiry = new LongTimer(peer.notAfterMs, expired, { keepsAlive: false });
    const shown = session.transport?.connection.tls.getX509Certificate()?.serialNumber;
    this.#watched.set(session, { expiry, shown });
    const gone = () => {
      expiry.stop();
      this.#watched.delete(session);
    };
    session.signal.addEventListener('abort', gone, { once: true });
    if (session.signal.aborted) gone();
    // Renewed during the handshake.
    else this.#showSoon(session);
  }

  /** Verifies a peer's renewed certificate; an invalid one ends the session. */
  received(session: LinkSession, credential: Credential__Output): void {
    const watched = this.#watched.get(session);
    if (watched === undefined) return;
    try {
      const peer = this.#judge(session, credential);
      watched.expiry.moveTo(peer.notAfterMs);
      session.proved(peer);
      const notAfter = new Date(peer.notAfterMs).toISOString();
      this.#log.info({ peer: peer.node, notAfter }, 'link continues under a renewed certificate');
    } catch (thrown) {
      const error = IsthmusError.from(thrown, 'PROTOCOL');
      const { node } = session.facts.peer;
      this.#trust.denials.record(error, node, 'link');
      this.#log.warn({ peer: node, code: error.code, err: error.message }, 'renewed certificate denied');
      session.end(error, true);
    }
  }

  stop(): void {
    this.#unsubscribe();
  }

  #judge(session: LinkSession, credential: Credential__Output) {
    const { transport, facts } = session;
    if (transport === undefined) throw new IsthmusError('INTERNAL', 'the session has not started');
    const peer = judgeCredential({ socket: transport.connection.tls, sender: OTHER_SIDE[transport.side] }, credential, {
      trust: this.#trust.identity.current(),
      revocations: this.#trust.revocations,
      known: facts.peer,
    });
    // Each needs a newly issued certificate, so that nobody keeps this node busy with one.
    if (peer.serialNumber !== facts.peer.serialNumber) return peer;
    throw new IsthmusError('PROTOCOL', `${peer.node} showed the same certificate again`);
  }

  #showSoon(session: LinkSession): void {
    background('link.credential', this.#log, () => this.#showing.run(() => this.#show(session)));
  }

  async #show(session: LinkSession): Promise<void> {
    const { identity } = this.#trust;
    const { serialNumber } = identity.peer();
    const [watched, { transport }] = [this.#watched.get(session), session];
    if (watched === undefined || transport === undefined) return;
    if (watched.shown === serialNumber) return;
    const proof = proveCredential({ socket: transport.connection.tls, sender: transport.side }, identity.current());
    watched.shown = serialNumber;
    session.send({ credential: await proof });
  }
}

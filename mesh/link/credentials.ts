// Certificates on live links. A session ends when its peer's certificate expires, unless the peer has shown a newer one
// in it by then (certs/credential.ts); revocation judges the newest. A link's bulk connections live and end with its
// session. With a neighbour of wire version 1 nothing is shown: its link is cut at the expiry and dialled again.
import { judgeCredential, proveCredential, type TlsSide } from '../../certs/credential.ts';
import { LongTimer } from '../../lib/async/long-timer.ts';
import { Mutex } from '../../lib/async/mutex.ts';
import { IsthmusError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Credential__Output } from '../../proto/gen/isthmus/mesh/v1/Credential.ts';
import type { InnerTrust } from '../tunnel/inner.ts';
import { credentialsSince } from '../wire-version.ts';
import type { LinkSession } from './session.ts';

interface Standing {
  readonly expiry: LongTimer;
  /** Serial number of the certificate that this node has shown last. */
  shown: string | undefined;
}

const otherSide = { client: 'server', server: 'client' } as const satisfies Record<TlsSide, TlsSide>;

export class LinkCredentials {
  readonly #trust: InnerTrust;
  readonly #log: Logger;
  readonly #standings = new Map<LinkSession, Standing>();
  readonly #unsubscribe: () => void;
  /**
   * One after the other: a certificate must not overtake the one before, and signatures of a thousand links take turns.
   */
  readonly #showing = new Mutex();

  constructor(trust: InnerTrust, log: Logger) {
    this.#trust = trust;
    this.#log = log;
    this.#unsubscribe = trust.identity.onChange(() => {
      for (const session of this.#standings.keys()) this.#showSoon(session);
    });
  }

  /** Watches a session from its start to its end. */
  add(session: LinkSession): void {
    const { peer } = session.facts;
    const expired = () =>
      session.end(new IsthmusError('PEER_CERTIFICATE_EXPIRED', `the certificate of ${peer.node} has expired`));
    const expiry = new LongTimer(peer.notAfterMs, expired, { keepsAlive: false });
    const shown = session.carrier?.connection.tls.getX509Certificate()?.serialNumber;
    this.#standings.set(session, { expiry, shown });
    const gone = () => {
      expiry.stop();
      this.#standings.delete(session);
    };
    session.signal.addEventListener('abort', gone, { once: true });
    if (session.signal.aborted) gone();
    // Renewed during the handshake.
    else this.#showSoon(session);
  }

  /** Takes a peer's new certificate; one that does not hold ends the session. */
  received(session: LinkSession, credential: Credential__Output): void {
    const standing = this.#standings.get(session);
    if (standing === undefined) return;
    try {
      const peer = this.#judge(session, credential);
      standing.expiry.moveTo(peer.notAfterMs);
      session.proved(peer);
      const notAfter = new Date(peer.notAfterMs).toISOString();
      this.#log.info({ peer: peer.node, notAfter }, 'link goes on under a new certificate');
    } catch (thrown) {
      const error = IsthmusError.from(thrown, 'PROTOCOL');
      const { node } = session.facts.peer;
      this.#trust.refusals.note(error, node, 'link');
      this.#log.warn({ peer: node, code: error.code, err: error.message }, 'new certificate refused');
      session.end(error, true);
    }
  }

  stop(): void {
    this.#unsubscribe();
  }

  #judge(session: LinkSession, credential: Credential__Output) {
    const { carrier, facts } = session;
    if (carrier === undefined || facts.wireVersion < credentialsSince) {
      throw new IsthmusError('PROTOCOL', `${facts.peer.node} sent what version ${facts.wireVersion} does not have`);
    }
    const peer = judgeCredential({ socket: carrier.connection.tls, sender: otherSide[carrier.side] }, credential, {
      trust: this.#trust.identity.current(),
      revocations: this.#trust.revocations,
      known: facts.peer,
    });
    // Each costs its sender a new certificate, so that nobody keeps this node busy with one.
    if (peer.serialNumber !== facts.peer.serialNumber) return peer;
    throw new IsthmusError('PROTOCOL', `${peer.node} showed the same certificate again`);
  }

  #showSoon(session: LinkSession): void {
    void this.#showing
      .run(() => this.#show(session))
      .catch((thrown: unknown) => {
        const { code, message } = IsthmusError.from(thrown);
        this.#log.warn({ peer: session.facts.peer.node, code, err: message }, 'new certificate not shown on the link');
      });
  }

  async #show(session: LinkSession): Promise<void> {
    const { identity } = this.#trust;
    const { serialNumber } = identity.peer();
    const [standing, { carrier, facts }] = [this.#standings.get(session), session];
    if (standing === undefined || carrier === undefined || facts.wireVersion < credentialsSince) return;
    if (standing.shown === serialNumber) return;
    const proof = proveCredential({ socket: carrier.connection.tls, sender: carrier.side }, identity.current());
    standing.shown = serialNumber;
    session.send({ credential: await proof });
  }
}

// Enrolment, the server's end: a peer without a certificate proves a join token and a key, both bound to this TLS
// session, and gets a provisional certificate of a few minutes. With it the node confirms over the mesh and receives
// the full certificate (identity.ts). A denied enrolment leaves one denial event and nothing else.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import tls, { TLSSocket } from 'node:tls';
import type { Authority } from '../../certs/authority.ts';
import { readPublicKey } from '../../certs/keys.ts';
import {
  keyProofHolds,
  sessionKey,
  spkiDigest,
  tokenProofHolds,
  type ProofContext,
} from '../../certs/enrolment/proof.ts';
import type { IdentityStore } from '../../certs/identity.ts';
import { credentialsOf, ENROL_TLS } from '../../certs/tls.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { GrpcHost, type Caller, type StreamPeer } from '../../lib/grpc/server.ts';
import { isId, isSlug } from '../../lib/ids.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Denials } from '../../mesh/denials.ts';
import type { Sealer } from '../../lib/secrets/seal.ts';
import { DenialLimiter } from '../../lib/net/denial-limiter.ts';
import { acceptTls } from '../../mesh/accept-tls.ts';
import { agreeOnWireVersion, type WireVersions } from '../../mesh/wire-version.ts';
import type { EnrolmentHandlers } from '../../proto/gen/isthmus/identity/v1/Enrolment.ts';
import type { EnrolRequest__Output } from '../../proto/gen/isthmus/identity/v1/EnrolRequest.ts';
import type { EnrolResponse } from '../../proto/gen/isthmus/identity/v1/EnrolResponse.ts';
import { SERVER } from '../store/nodes/parents.ts';
import type { JoinToken } from '../store/nodes/tokens.ts';
import type { Store } from '../store/store.ts';
import { Nonces } from './nonces.ts';
import { checkNameFree, nameTaken } from './rejoining.ts';
import { proofKeyIdentity } from './tokens.ts';
import { closeWithin, stopAfter } from '../../lib/async/deadline.ts';

const types = loadDefinitions('isthmus/identity/v1/identity.proto').isthmus.identity.v1;

/** Over all peers together: nobody guesses one of 2^256 secrets, but each guess writes a row. */
const DENIAL_LIMITS = { perSource: 60, windowMs: 12_000, sources: 1 };
const ALL_PEERS = 'peers';
const HANDSHAKE_MS = 10_000;
/** From the handshake to a proven token: a few round trips, also on a slow line. */
const PROOF_MS = 20_000;

export interface EnrolmentDeps {
  readonly store: Store;
  readonly authority: Authority;
  readonly identity: IdentityStore;
  readonly sealer: Sealer;
  readonly log: Logger;
  /** Where this server records what it denies. */
  readonly denials: Denials;
}

/** A token that a session has bound to a key. */
interface Binding {
  readonly tokenId: string;
  readonly spki: string;
}

export class Enrolment {
  readonly #deps: EnrolmentDeps;
  readonly #host: GrpcHost;
  readonly #nonces = new Nonces();
  readonly #denials = new DenialLimiter(DENIAL_LIMITS);
  /** Sessions that the server opened to a node that waits to be dialled, with the address that was dialled. */
  readonly #dialledAt = new WeakMap<Duplex, string>();
  /** The tokens that each live session has bound; they are unbound when it ends unconfirmed. */
  readonly #bound = new Map<Duplex, Binding[]>();
  readonly #unbinding = new Set<Promise<unknown>>();

  constructor(deps: EnrolmentDeps) {
    this.#deps = deps;
    this.#host = new GrpcHost({
      log: deps.log,
      maxConcurrentCalls: 4,
      // The service records its own denials, with the token.
      onError: (error) => {
        if (error.code === 'RATE_LIMITED') deps.denials.record(error, 'unknown', 'enrol');
      },
    });
    this.#host.add<EnrolmentHandlers>(
      types.Enrolment.service,
      {
        Begin: ({ request: { oldestWireVersion, newestWireVersion } }, caller) =>
          this.#begin({ oldest: oldestWireVersion, newest: newestWireVersion }, caller),
        Enrol: (call, caller) => this.#enrol(call.request, caller),
        Abandon: (_call, caller) => this.#abandon(caller.stream),
      },
      { Begin: { anyone: true }, Enrol: { anyone: true }, Abandon: { anyone: true } },
    );
  }

  /** Unbinds the tokens that the last server process left bound: the sessions that held them ended with it. */
  async start(): Promise<void> {
    for (const { id, boundSpkiSha256 } of await this.#deps.store.tokens.unconfirmed()) {
      if (boundSpkiSha256 !== null) await this.#unbind({ tokenId: id, spki: boundSpkiSha256 });
    }
  }

  /** Serves a bare stream that a joining node opened, direct or through relays. */
  async serve(bare: Duplex): Promise<void> {
    await this.#secure(bare, () =>
      acceptTls(bare, {
        ...ENROL_TLS,
        ...credentialsOf(this.#deps.identity.current()),
        requestCert: false,
      }),
    );
  }

  /** Serves a bare stream that was opened to a node waiting at `address` (host:port); resolves when it has closed. */
  async serveDialled(bare: Duplex, address: string): Promise<void> {
    const session = await this.#secure(
      bare,
      async () => {
        // The joining node presents a fresh self-signed certificate; the token proves who it is.
        const socket = tls.connect({
          ...ENROL_TLS,
          ...credentialsOf(this.#deps.identity.current()),
          socket: bare,
          checkServerIdentity: () => undefined,
        });
        await Promise.race([once(socket, 'secureConnect'), once(socket, 'close').then(failed)]);
        return socket;
      },
      address,
    );
    if (!session.closed) await once(session, 'close');
  }

  async stop(): Promise<void> {
    await this.#host.stop();
    await Promise.all(this.#unbinding);
  }

  async #secure(bare: Duplex, handshake: () => Promise<TLSSocket>, address?: string): Promise<TLSSocket> {
    bare.on('error', () => undefined);
    try {
      const session = await stopAfter(HANDSHAKE_MS, () => bare.destroy(), handshake);
      session.on('error', () => undefined);
      session.once('close', () => {
        bare.destroy();
        this.#ended(session);
      });
      bare.once('close', () => session.destroy());
      this.#cutUnlessProven(session);
      if (address !== undefined) this.#dialledAt.set(session, address);
      this.#host.accept(session);
      return session;
    } catch (thrown) {
      bare.destroy();
      throw IsthmusError.from(thrown, 'UNREACHABLE');
    }
  }

  #begin(theirs: WireVersions, caller: Caller<StreamPeer>) {
    agreeOnWireVersion(theirs, 'the joining node');
    const { authority } = this.#deps;
    return {
      nonce: this.#nonces.create(caller.stream),
      serverTimeMs: Date.now(),
      meshId: authority.meshId,
      authorityPem: authority.certificatePem,
    };
  }

  async #enrol(request: EnrolRequest__Output, caller: Caller<StreamPeer>): Promise<EnrolResponse> {
    try {
      return await this.#admit(request, caller);
    } catch (thrown) {
      const error = IsthmusError.from(thrown);
      await this.#recordDenial(request, error);
      throw error;
    }
  }

  async #admit(request: EnrolRequest__Output, caller: Caller<StreamPeer>): Promise<EnrolResponse> {
    const { store, authority } = this.#deps;
    if (!(caller.stream instanceof TLSSocket)) throw new IsthmusError('INTERNAL', 'enrolment outside TLS');
    this.#nonces.check(caller.stream, request.nonce);
    const proof = { session: sessionKey(caller.stream), nonce: request.nonce, spkiDer: request.publicKeySpki };
    const token = await this.#provenToken(request, proof);
    const publicKey = readPublicKey(request.publicKeySpki);
    if (!keyProofHolds(publicKey, proof, request.keyProof)) {
      throw new IsthmusError('INVALID_FIELD', 'the key proof is wrong', { field: 'keyProof' });
    }
    checkScope(token, request, this.#dialledAt.get(caller.stream));
    const node = token.boundNode ?? token.name ?? (request.name || `${token.role}-${randomBytes(4).toString('hex')}`);
    const spki = spkiDigest(request.publicKeySpki);
    await store.transaction(async (tx) => {
      const present = await tx.nodes.find(node);
      // Only a token created for exactly this name may reuse the name of a revoked node.
      if (present !== undefined && token.name !== node) throw nameTaken(node);
      await checkNameFree(tx, node, token.role);
      if (!(await tx.tokens.bind(token.id, spki, node))) {
        throw new IsthmusError('TOKEN_USED', 'another join is using this token; if that join fails, it is free again');
      }
      await tx.events.append({
        actor: node,
        type: 'token.bound',
        subject: token.id,
        data: { node },
      });
    });
    this.#bound.set(caller.stream, [...(this.#bound.get(caller.stream) ?? []), { tokenId: token.id, spki }]);
    // The session may have closed while the token was being bound.
    if (caller.stream.destroyed) this.#ended(caller.stream);
    const issued = await authority.issue({
      spkiDer: request.publicKeySpki,
      node,
      role: token.role,
      provisional: true,
    });
    const parents = token.parents.map(({ node: parent, dialAddress }) => ({
      node: parent === SERVER ? this.#deps.identity.current().node : parent,
      dials: dialAddress !== null,
    }));
    return {
      node,
      role: token.role,
      site: token.site,
      meshId: authority.meshId,
      certificatePem: issued.certificatePem,
      authorityPem: authority.certificatePem,
      parents,
      address: token.address ?? '',
    };
  }

  /** The token that the request proves. Without the proof, a peer does not learn which tokens exist or were used. */
  async #provenToken(request: EnrolRequest__Output, proof: ProofContext): Promise<JoinToken> {
    const { store, sealer } = this.#deps;
    const token = isId(request.tokenId) ? await store.tokens.find(request.tokenId) : undefined;
    // For an unknown token the proof is checked against a random key, so that the answer takes as long.
    const key = token === undefined ? randomBytes(32) : sealer.open(token.proofKeySealed, proofKeyIdentity(token.id));
    const holds = tokenProofHolds(key, proof, request.tokenProof);
    if (token === undefined || !holds) throw new IsthmusError('TOKEN_UNKNOWN', 'there is no such join token');
    if (token.usedAt !== null) throw new IsthmusError('TOKEN_USED', 'a node has already joined with this token');
    if (token.expiresAt <= Date.now()) {
      const [expired, now] = [token.expiresAt, Date.now()].map((ms) => new Date(ms).toISOString());
      throw new IsthmusError('TOKEN_EXPIRED', `this join token expired at ${expired}; the server's clock says ${now}`);
    }
    return token;
  }

  async #recordDenial(request: EnrolRequest__Output, error: IsthmusError): Promise<void> {
    const subject = isId(request.tokenId) ? request.tokenId : 'malformed';
    if (this.#denials.admit(ALL_PEERS) === 'suppressed') {
      this.#deps.log.warn({ token: subject, code: error.code }, 'enrolment denied; too many to record');
      throw new IsthmusError('RESOURCE_EXHAUSTED', 'too many enrolments are being denied');
    }
    this.#deps.log.warn({ tokenId: subject, code: error.code }, 'enrolment denied');
    const [role, site, name] = [request.role.slice(0, 64), request.site.slice(0, 64), request.name.slice(0, 64)];
    await this.#deps.store.denials.append({
      actor: 'system',
      type: 'enrolment.denied',
      subject,
      data: { code: error.code, role, site, name },
    });
  }

  async #abandon(session: Duplex): Promise<{ joined: boolean }> {
    const bound = this.#bound.get(session) ?? [];
    await this.#unbindAll(session);
    for (const { tokenId, spki } of bound) {
      const token = await this.#deps.store.tokens.find(tokenId);
      if (token !== undefined && token.usedAt !== null && token.boundSpkiSha256 === spki) return { joined: true };
    }
    return { joined: false };
  }

  /** Unbinds the tokens that a session has bound. */
  async #unbindAll(session: Duplex): Promise<void> {
    const bound = this.#bound.get(session) ?? [];
    this.#bound.delete(session);
    for (const binding of bound) await this.#unbind(binding);
  }

  /** Unbinds the tokens of an ended session in the background. */
  #ended(session: Duplex): void {
    const unbinding = this.#unbindAll(session)
      .catch((err: unknown) => this.#deps.log.warn({ err }, 'could not unbind a token'))
      .finally(() => this.#unbinding.delete(unbinding));
    this.#unbinding.add(unbinding);
  }

  /** Unbinds a token that is bound to exactly this key and unused. A confirmed one stays used. */
  #unbind({ tokenId, spki }: Binding): Promise<void> {
    return this.#deps.store.transaction(async (tx) => {
      if (!(await tx.tokens.unbind(tokenId, spki))) return;
      await tx.events.append({ actor: 'system', type: 'token.unbound', subject: tokenId, data: {} });
    });
  }

  /** Closes a session that has proven no token in time. */
  #cutUnlessProven(session: TLSSocket): void {
    closeWithin(session, PROOF_MS, () => {
      if (!this.#bound.has(session)) session.destroy();
    });
  }
}

function checkScope(token: JoinToken, { role, site, name }: EnrolRequest__Output, dialledAt: string | undefined): void {
  const reject = (reason: string): never => {
    throw new IsthmusError('TOKEN_SCOPE', reason);
  };
  if (role !== '' && role !== token.role) reject(`this token is for a ${token.role}, not for a ${role.slice(0, 64)}`);
  if (site !== '' && site !== token.site) reject(`this token is for site ${token.site}`);
  if (name !== '' && !isSlug(name)) {
    throw new IsthmusError('INVALID_FIELD', 'a node id is a DNS label in lower case', { field: 'name' });
  }
  if (name === SERVER) reject('no node may be called server');
  if (name !== '' && token.name !== null && name !== token.name) reject(`this token is for node ${token.name}`);
  // The node must join through one of its parents: it dials one of them, or waits where one of them dials.
  const addresses = token.parents.map(({ dialAddress }) => dialAddress);
  if (addresses.includes(dialledAt ?? null)) return;
  const waiting = addresses.filter((address) => address !== null);
  if (waiting.length === 0) reject('this token is for a node that dials');
  const elsewhere = dialledAt === undefined ? '' : `, not at ${dialledAt}, which a later token for it names`;
  reject(`this token is for a node that waits to be dialled at ${waiting.join(' and ')}${elsewhere}`);
}

function failed(): never {
  throw new IsthmusError('UNREACHABLE', 'the node closed the session during the handshake');
}

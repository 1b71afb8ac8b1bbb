// The `identity` service: a node that just enrolled confirms over the mesh, and every node renews its certificate.
import type { KeyObject, X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import type { Authority, IssuedCertificate } from '../../certs/authority.ts';
import { readPublicKey } from '../../certs/certificate.ts';
import { keyProofHolds, sessionKey, spkiDigest } from '../../certs/enrolment/proof.ts';
import { roles, type PeerIdentity } from '../../certs/peer.ts';
import { IsthmusError } from '../../lib/errors.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { GrpcHost, type Caller } from '../../lib/grpc/server.ts';
import type { Logger } from '../../lib/log.ts';
import type { MeshStream } from '../../mesh/types.ts';
import type { IdentityHandlers } from '../../proto/gen/isthmus/identity/v1/Identity.ts';
import type { RenewRequest__Output } from '../../proto/gen/isthmus/identity/v1/RenewRequest.ts';
import type { JoinToken } from '../store/repositories/tokens.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import { registerMachine } from './machines.ts';
import { Nonces } from './nonces.ts';

const types = loadDefinitions('isthmus/identity/v1/identity.proto').isthmus.identity.v1;

export interface IdentityServiceDeps {
  readonly store: Store;
  readonly authority: Authority;
  readonly log: Logger;
  /** Called after a node was let in. */
  onJoined(node: string): void;
}

export class IdentityService {
  readonly #deps: IdentityServiceDeps;
  readonly #host: GrpcHost<PeerIdentity>;
  readonly #nonces = new Nonces();
  /** The latest renewal of each node, so that a repeated request gets the same answer. */
  readonly #renewed = new Map<string, { spki: string; issued: IssuedCertificate }>();

  constructor(deps: IdentityServiceDeps) {
    this.#deps = deps;
    this.#host = new GrpcHost<PeerIdentity>({ log: deps.log, maxConcurrentCalls: 8 });
    this.#host.add<IdentityHandlers>(
      types.Identity.service,
      {
        Confirm: (_call, caller) => this.#confirm(caller),
        BeginRenewal: (_call, caller) => ({ nonce: this.#nonces.make(caller.stream) }),
        Renew: (call, caller) => this.#renew(call.request, caller),
      },
      { Confirm: { roles }, BeginRenewal: { roles }, Renew: { roles } },
    );
  }

  accept(stream: MeshStream): void {
    this.#host.accept(stream);
  }

  stop(): Promise<void> {
    return this.#host.stop();
  }

  async #confirm({ peer, stream }: Caller<PeerIdentity>): Promise<Record<string, never>> {
    const spki = spkiDigest(derOf(certificateOf(stream).publicKey));
    const joined = await this.#deps.store.transaction(async (tx) => {
      const present = await tx.nodes.find(peer.node);
      if (present?.state === 'revoked') {
        throw new IsthmusError('PEER_CERTIFICATE_REVOKED', `${peer.node} has been revoked`);
      }
      if (present !== undefined) return false;
      const token = await tx.tokens.boundTo(peer.node);
      const fits = token?.usedAt === null && token.boundSpkiSha256 === spki && token.role === peer.role;
      if (token === undefined || !fits || !(await tx.tokens.consume(token.id, Date.now()))) {
        throw new IsthmusError('TOKEN_USED', `no enrolment of ${peer.node} with this key waits to be confirmed`);
      }
      await insertNode(tx, peer, token);
      return true;
    });
    if (joined) {
      this.#deps.log.info({ node: peer.node, role: peer.role }, 'node joined');
      this.#deps.onJoined(peer.node);
    }
    return {};
  }

  async #renew(request: RenewRequest__Output, caller: Caller<PeerIdentity>): Promise<{ certificatePem: string }> {
    const { peer, stream } = caller;
    const { store, authority, log } = this.#deps;
    if (!(stream instanceof TLSSocket)) throw new IsthmusError('INTERNAL', 'renewal outside TLS');
    this.#nonces.check(stream, request.nonce);
    const publicKey = readPublicKey(request.publicKeySpki);
    const proof = { session: sessionKey(stream), nonce: request.nonce, spkiDer: request.publicKeySpki };
    if (!keyProofHolds(publicKey, proof, request.keyProof)) {
      throw new IsthmusError('INVALID_FIELD', 'the key proof is wrong', { field: 'keyProof' });
    }
    const node = await store.nodes.find(peer.node);
    if (node?.state !== 'active' || node.role !== peer.role) {
      throw new IsthmusError('PEER_CERTIFICATE_REVOKED', `${peer.node} is not an active ${peer.role} of this mesh`);
    }
    const spki = spkiDigest(request.publicKeySpki);
    const before = this.#renewed.get(peer.node);
    if (before?.spki === spki) return { certificatePem: before.issued.certificatePem };
    const issued = await authority.issue({ spkiDer: request.publicKeySpki, node: peer.node, role: peer.role });
    await recordRenewal(store, peer.node, issued);
    this.#renewed.set(peer.node, { spki, issued });
    log.info({ node: peer.node, notAfter: new Date(issued.notAfterMs).toISOString() }, 'certificate renewed');
    return { certificatePem: issued.certificatePem };
  }
}

/** Writes down a certificate that was issued to a node of the mesh. */
export async function recordRenewal(store: Store, node: string, issued: IssuedCertificate): Promise<void> {
  const { serialNumber: serial, notBeforeMs: notBefore, notAfterMs: notAfter } = issued;
  await store.transaction(async (tx) => {
    await tx.nodes.insertCertificate({ serial, node, notBefore, notAfter, issuedAt: Date.now() });
    await tx.nodes.sighted(node, { certificateNotAfter: notAfter });
    await tx.events.append({
      actor: node,
      type: 'node.renewed',
      subjectKind: 'node',
      subject: node,
      data: { serial, notAfter },
    });
  });
}

async function insertNode(tx: StoreTransaction, peer: PeerIdentity, token: JoinToken): Promise<void> {
  const createdAt = Date.now();
  const node = {
    id: peer.node,
    role: peer.role,
    site: token.site,
    parent: token.parent,
    dialAddress: token.dialAddress,
  };
  await tx.nodes.insert({ ...node, createdAt, certificateNotAfter: peer.notAfterMs });
  await tx.nodes.insertCertificate({
    serial: peer.serialNumber,
    node: peer.node,
    notBefore: peer.notBeforeMs,
    notAfter: peer.notAfterMs,
    issuedAt: createdAt,
  });
  await tx.events.append({
    actor: peer.node,
    type: 'node.joined',
    subjectKind: 'node',
    subject: peer.node,
    data: { token: token.id, role: node.role, site: node.site, parent: node.parent, dialAddress: node.dialAddress },
  });
  if (peer.role === 'tentacle') {
    const { environments, targetRoles, routes } = token;
    await registerMachine(tx, node, { environments, targetRoles, routes }, peer.node, createdAt);
  }
}

function certificateOf(stream: unknown): X509Certificate {
  const certificate = stream instanceof TLSSocket ? stream.getPeerX509Certificate() : undefined;
  if (certificate === undefined)
    throw new IsthmusError('PEER_CERTIFICATE_MISSING', 'the peer presented no certificate');
  return certificate;
}

function derOf(key: KeyObject): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

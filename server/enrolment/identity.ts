// The `identity` service: a node that has enrolled confirms over the mesh, which consumes its join token, and every
// node renews its certificate.
import type { KeyObject, X509Certificate } from 'node:crypto';
import { TLSSocket } from 'node:tls';
import { PROVISIONAL_LIFETIME_MS, type Authority, type IssuedCertificate } from '../../certs/authority.ts';
import { BACKDATE_MS, readPublicKey } from '../../certs/keys.ts';
import { keyProofHolds, sessionKey, spkiDigest } from '../../certs/enrolment/proof.ts';
import type { PeerIdentity } from '../../certs/peer.ts';
import { NODE_ROLES } from '../../contract/nodes.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { GrpcHost, type Caller } from '../../lib/grpc/server.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Denials } from '../../mesh/denials.ts';
import type { MeshStream } from '../../mesh/types.ts';
import type { IdentityHandlers } from '../../proto/gen/isthmus/identity/v1/Identity.ts';
import type { RenewRequest__Output } from '../../proto/gen/isthmus/identity/v1/RenewRequest.ts';
import type { Node } from '../store/nodes/nodes.ts';
import type { JoinToken } from '../store/nodes/tokens.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import { registerMachine } from '../inventory/index.ts';
import type { Topology } from '../topology/topology.ts';
import { Nonces } from './nonces.ts';
import { checkRoleKept, reactivateNode } from './rejoining.ts';

const types = loadDefinitions('isthmus/identity/v1/identity.proto').isthmus.identity.v1;

export interface IdentityServiceDeps {
  readonly store: Store;
  readonly authority: Authority;
  readonly log: Logger;
  readonly denials: Denials;
  readonly topology: Topology;
}

export class IdentityService {
  readonly #deps: IdentityServiceDeps;
  readonly #host: GrpcHost<PeerIdentity>;
  readonly #nonces = new Nonces();
  /** The latest renewal of each node, so that a repeated request gets the same certificate. */
  readonly #renewed = new Map<string, { spki: string; issued: IssuedCertificate }>();

  /** The latest confirmation of each node, for the same reason. */
  readonly #confirmed = new Map<string, { spki: string; certificatePem: string }>();

  constructor(deps: IdentityServiceDeps) {
    this.#deps = deps;
    this.#host = new GrpcHost<PeerIdentity>({
      log: deps.log,
      maxConcurrentCalls: 8,
      onError: (error, peer, method) => deps.denials.record(error, peer?.node ?? 'unknown', method),
    });
    this.#host.add<IdentityHandlers>(
      types.Identity.service,
      {
        Confirm: (_call, caller) => this.#confirm(caller),
        BeginRenewal: (_call, caller) => ({ nonce: this.#nonces.create(caller.stream) }),
        Renew: (call, caller) => this.#renew(call.request, caller),
      },
      { Confirm: { roles: NODE_ROLES }, BeginRenewal: { roles: NODE_ROLES }, Renew: { roles: NODE_ROLES } },
    );
  }

  accept(stream: MeshStream): void {
    this.#host.accept(stream);
  }

  stop(): Promise<void> {
    return this.#host.stop();
  }

  async #confirm({ peer, stream }: Caller<PeerIdentity>): Promise<{ certificatePem: string }> {
    const { store, topology, authority, log } = this.#deps;
    const spkiDer = derOf(certificateOf(stream).publicKey);
    const spki = spkiDigest(spkiDer);
    const issued = await authority.issue({ spkiDer, node: peer.node, role: peer.role });
    const outcome = await store.transaction(async (tx) => {
      const token = await tx.tokens.boundTo(peer.node, spki);
      if (token?.role !== peer.role) throw nothingToConfirm(peer.node);
      const present = await tx.nodes.find(peer.node);
      if (token.usedAt !== null) return this.#confirmedBefore(tx, peer.node, spki, issued, present);
      if (present?.state === 'active' || !(await tx.tokens.consume(token.id, Date.now()))) {
        throw nothingToConfirm(peer.node);
      }
      await admit(tx, { token, issued, present, node: peer.node, topology });
      return { joined: true, certificatePem: issued.certificatePem };
    });
    this.#confirmed.set(peer.node, { spki, certificatePem: outcome.certificatePem });
    if (outcome.joined) log.info({ node: peer.node, role: peer.role }, 'node joined');
    return { certificatePem: outcome.certificatePem };
  }

  /** Answers a repeated Confirm, whose first answer was lost: the same certificate while this process remembers it. */
  async #confirmedBefore(
    tx: StoreTransaction,
    node: string,
    spki: string,
    issued: IssuedCertificate,
    present: Node | undefined,
  ): Promise<{ joined: boolean; certificatePem: string }> {
    if (present?.state !== 'active') {
      throw new IsthmusError('PEER_CERTIFICATE_REVOKED', `${node} is not an active node of this mesh`);
    }
    const before = this.#confirmed.get(node);
    if (before?.spki === spki) return { joined: false, certificatePem: before.certificatePem };
    await recordCertificate(tx, node, issued);
    return { joined: false, certificatePem: issued.certificatePem };
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
    if (!(await isRenewable(store, peer))) {
      throw new IsthmusError('FORBIDDEN', `this certificate of ${peer.node} is provisional and cannot be renewed`);
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

/** Records a certificate that was issued to a node of the mesh. */
export async function recordRenewal(store: Store, node: string, issued: IssuedCertificate): Promise<void> {
  const { serialNumber: serial, notAfterMs: notAfter } = issued;
  await store.transaction(async (tx) => {
    await recordCertificate(tx, node, issued);
    await tx.nodes.recordLastSeen(node, { certificateNotAfter: notAfter });
    await tx.events.append({
      actor: node,
      type: 'node.renewed',
      subject: node,
      data: { serial, notAfter },
    });
  });
}

interface Admission {
  readonly node: string;
  readonly token: JoinToken;
  /** The full certificate. */
  readonly issued: IssuedCertificate;
  /** The revoked node that had the name. */
  readonly present: Node | undefined;
  readonly topology: Topology;
}

async function admit(tx: StoreTransaction, { node: id, token, issued, present, topology }: Admission): Promise<void> {
  const createdAt = Date.now();
  const { role, site, parents, address } = token;
  if (present === undefined) {
    await tx.nodes.insert({ id, role, site, parents, address, createdAt, certificateNotAfter: issued.notAfterMs });
  } else {
    checkRoleKept(present, role);
    await reactivateNode(tx, present, { token, topology, certificateNotAfter: issued.notAfterMs });
  }
  await recordCertificate(tx, id, issued);
  await tx.events.append({
    actor: id,
    type: 'node.joined',
    subject: id,
    data: { token: token.id, role, site, parents, again: present !== undefined },
  });
  if (role === 'tentacle') {
    const { environments, targetRoles, routes } = token;
    const machine = { environments, targetRoles, routes, createdAt };
    await registerMachine(tx, { id, site, parents }, machine, { actor: id, topology });
  }
}

async function recordCertificate(tx: StoreTransaction, node: string, issued: IssuedCertificate): Promise<void> {
  const { serialNumber: serial, notBeforeMs: notBefore, notAfterMs: notAfter } = issued;
  await tx.nodes.insertCertificate({ serial, node, notBefore, notAfter, issuedAt: Date.now() });
}

/**
 * Whether a certificate may be renewed: one that this store has recorded, or one of full lifetime, which Confirm or
 * Renew issued and a restored older backup does not know. The provisional one that Enrol issues is neither.
 */
async function isRenewable(store: Store, peer: PeerIdentity): Promise<boolean> {
  const lifeMs = peer.notAfterMs - peer.notBeforeMs - BACKDATE_MS;
  return lifeMs > 2 * PROVISIONAL_LIFETIME_MS || (await store.nodes.hasCertificate(peer.node, peer.serialNumber));
}

function nothingToConfirm(node: string): IsthmusError {
  return new IsthmusError('TOKEN_USED', `${node} has no unconfirmed enrolment with this key`);
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

// Starts enrolment: nodes join, renew their certificates and are revoked. Map of this folder:
//   tokens.ts        join tokens                 enrolment.ts, dialled-joins.ts   enrol nodes
//   identity.ts      confirms and renews         revocation.ts                    revokes nodes
//   rejoining.ts     reuses a revoked node's name    starts.ts   tells a node's process from its copies
import { background } from '../../lib/async/background.ts';
import type { Authority } from '../../certs/authority.ts';
import { authorityPin } from '../../certs/authority-signature.ts';
import type { IdentityStore } from '../../certs/identity.ts';
import { keepRenewed } from '../../certs/renewal.ts';
import type { RevocationList } from '../../certs/revocations.ts';
import { Mutex } from '../../lib/async/mutex.ts';
import type { Reactivation } from '../../contract/nodes.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Sealer } from '../../lib/secrets/seal.ts';
import { SOFTWARE_VERSION } from '../../lib/version.ts';
import type { Mesh } from '../../mesh/types.ts';
import type { EventSubscriptions } from '../events/subscriptions.ts';
import type { Actor } from '../store/base.ts';
import type { JoinToken } from '../store/nodes/tokens.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import type { AwaitedJoins } from '../topology/start.ts';
import type { Topology } from '../topology/topology.ts';
import { DialledJoins, stillAwaited } from './dialled-joins.ts';
import { Enrolment } from './enrolment.ts';
import { IdentityService, recordRenewal } from './identity.ts';
import {
  adoptRevocations,
  publishRevocations,
  revocationSubscription,
  revokeNode,
  type RevocationDeps,
} from './revocation.ts';
import { reactivateStart } from './starts.ts';
import { createToken, type CreatedToken, type TokenInput } from './tokens.ts';

export interface EnrolmentStartDeps {
  readonly store: Store;
  readonly topology: Topology;
  readonly events: EventSubscriptions;
  readonly authority: Authority;
  readonly sealer: Sealer;
  readonly identity: IdentityStore;
  readonly revocations: RevocationList;
  readonly mesh: Mesh;
  readonly log: Logger;
  /** The address of this server's port from outside, as host:port, when it is known. */
  readonly serverAddress: string | undefined;
}

export interface EnrolmentServices {
  /** Nodes that wait to be dialled: the topology service assigns them to their parents. */
  readonly joins: AwaitedJoins<JoinToken>;
  createToken(tx: StoreTransaction, input: TokenInput, actor: Actor): Promise<CreatedToken>;
  /** The event makes the mesh learn of it after the commit. */
  revokeNode(tx: StoreTransaction, id: string, actor: Actor): Promise<void>;
  /** As `reactivateStart`. */
  reactivateNode(tx: StoreTransaction, id: string, choice: Reactivation, actor: Actor): Promise<void>;
  stop(): Promise<void>;
}

/** Registers enrolment and `identity` on the mesh, and keeps revocations and this server's certificate up to date. */
export async function startEnrolment(deps: EnrolmentStartDeps): Promise<EnrolmentServices> {
  const { store, topology, authority, sealer, identity, mesh, log, serverAddress } = deps;
  const self = identity.current().node;
  const revocation = { store, authority, revocations: deps.revocations, log, self };
  await publishRevocations(revocation);
  deps.events.subscribe('revocation-list', revocationSubscription(revocation));
  const adopting = new Adopting(revocation);
  await adopting.run();
  await ensureOwnRow(deps);

  const { denials } = mesh;
  const enrolment = new Enrolment({ store, authority, identity, sealer, log, denials });
  await enrolment.start();
  const dialled = new DialledJoins({ mesh, enrolment, topology, log });
  const identities = new IdentityService({ store, topology, authority, log, denials });
  const renewal = keepRenewed({
    identity,
    log,
    renew: async ({ spkiDer }) => {
      const issued = await authority.issue({ spkiDer, node: self, role: 'server' });
      await recordRenewal(store, self, issued);
      return issued.certificatePem;
    },
  });
  mesh.listenEnrol((stream) => {
    enrolment.serve(stream).catch((err: unknown) => log.debug({ err }, 'an enrolment failed before its session began'));
  });
  mesh.listen('identity', (stream) => identities.accept(stream));

  const pin = authorityPin(authority.certificatePem);
  return {
    joins: {
      pending: async () => stillAwaited(await store.tokens.pendingDialled(Date.now()), topology),
      attempt: (tokens) => dialled.attempt(tokens),
    },
    createToken: (tx, input, actor) => createToken(tx, input, actor, { sealer, pin, serverAddress, topology }),
    revokeNode: (tx, id, actor) => revokeNode(tx, id, actor, self),
    reactivateNode: reactivateStart,
    async stop() {
      renewal.stop();
      await adopting.stop();
      await dialled.stop();
      await Promise.all([enrolment.stop(), identities.stop()]);
    },
  };
}

/** Adds this server to the table of nodes, or updates its row. */
async function ensureOwnRow({ store, identity }: EnrolmentStartDeps): Promise<void> {
  const { node, site } = identity.current();
  const certificateNotAfter = identity.peer().notAfterMs;
  await store.transaction(async (tx) => {
    if ((await tx.nodes.find(node)) !== undefined) {
      await tx.nodes.recordLastSeen(node, { certificateNotAfter, softwareVersion: SOFTWARE_VERSION });
      return;
    }
    await tx.nodes.insert({
      id: node,
      role: 'server',
      site,
      parents: [],
      createdAt: Date.now(),
      certificateNotAfter,
    });
    await tx.nodes.recordLastSeen(node, { softwareVersion: SOFTWARE_VERSION });
    await tx.events.append({
      actor: 'system',
      type: 'node.joined',
      subject: node,
      data: { role: 'server' },
    });
  });
}

/** Adopts revocations into the store whenever the list from the mesh changes. */
class Adopting {
  readonly #deps: RevocationDeps;
  readonly #unsubscribe: () => void;
  readonly #running = new Mutex();

  constructor(deps: RevocationDeps) {
    this.#deps = deps;
    this.#unsubscribe = deps.revocations.onChange(() => background('revocations.adopt', deps.log, () => this.run()));
  }

  run(): Promise<void> {
    return this.#running
      .run(() => adoptRevocations(this.#deps))
      .catch((err: unknown) => this.#deps.log.error({ err }, 'could not adopt revocations'));
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    await this.#running.idle();
  }
}

// The server's side of identity and topology, put together: who is let in, who is renewed, who is revoked, who dials
// whom. Map of this part of the folder:
//   tokens.ts      makes join tokens              enrolment.ts, dialled-joins.ts   let nodes in
//   identity.ts    confirms and renews            revocation.ts                    shuts nodes out
//   watch.ts       takes reports, gives assignments
//   parents.ts, going-over.ts                  give nodes other parents
import type { Authority } from '../../certs/authority.ts';
import { authorityPin } from '../../certs/authority-signature.ts';
import type { IdentityStore } from '../../certs/identity.ts';
import { roles } from '../../certs/peer.ts';
import { keepRenewed } from '../../certs/renewal.ts';
import type { RevocationList } from '../../certs/revocations.ts';
import { Mutex } from '../../lib/async/mutex.ts';
import type { Logger } from '../../lib/log.ts';
import type { Sealer } from '../../lib/seal.ts';
import { softwareVersion } from '../../lib/version.ts';
import { reachableAt } from '../../mesh/reachable.ts';
import type { Mesh } from '../../mesh/types.ts';
import { SERVER } from '../store/parents.ts';
import type { Actor } from '../store/repositories/base.ts';
import type { Node } from '../store/repositories/nodes.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import { DialledJoins, stillAwaited } from './dialled-joins.ts';
import { Enrolment } from './enrolment.ts';
import { IdentityService, recordRenewal } from './identity.ts';
import { noteTaken, parentsAssignments } from './going-over.ts';
import { setParents, type NewParentInput } from './parents.ts';
import { adoptRevocations, publishRevocations, revokeNode, type RevocationDeps } from './revocation.ts';
import { refusalEvent } from './reports.ts';
import { createToken, type MadeToken, type TokenInput } from './tokens.ts';
import { readTopology } from './topology.ts';
import { dialsOf, WatchService, type FindPlaces } from './watch.ts';

/** How soon a new token or node reaches the relay that has to dial it. */
const turnMs = 1_000;

export interface TopologyDeps {
  readonly store: Store;
  readonly authority: Authority;
  readonly sealer: Sealer;
  readonly identity: IdentityStore;
  readonly revocations: RevocationList;
  readonly mesh: Mesh;
  readonly log: Logger;
  /** Answers Places.Find. */
  readonly findPlaces: FindPlaces;
  /** How this server's port is reached from outside, host:port; when not told, what can be made of where it listens. */
  readonly advertise?: string | undefined;
}

export interface TopologyServices {
  createToken(tx: StoreTransaction, input: TokenInput, actor: Actor): Promise<MadeToken>;
  /** The answer is to be called after the commit. */
  revokeNode(tx: StoreTransaction, id: string, actor: Actor): Promise<() => void>;
  /** Keeps the wish that a node, at the version that was read, go over to other parents. */
  setParents(tx: StoreTransaction, id: string, change: NewParents, actor: Actor): Promise<AfterSetting>;
  stop(): Promise<void>;
}

export interface NewParents {
  readonly version: number;
  readonly parents: readonly NewParentInput[];
}

interface AfterSetting {
  readonly node: Node;
  /** To be called after the commit. */
  readonly after: () => void;
}

/**
 * Registers the server's services on its mesh and keeps assignments, revocations and its own certificate up to date.
 */
export async function startTopology(deps: TopologyDeps): Promise<TopologyServices> {
  const { store, authority, sealer, identity, mesh, log } = deps;
  const self = identity.current().node;
  const revocation = { store, authority, revocations: deps.revocations, log, self };
  await publishRevocations(revocation);
  const adopting = new Adopting(revocation);
  await adopting.run();
  await ensureOwnRow(deps);

  const { refusals } = mesh;
  const enrolment = new Enrolment({ store, authority, identity, sealer, log, refusals });
  await enrolment.start();
  const dialled = new DialledJoins({ mesh, enrolment, log });
  const watch = new WatchService({ store, log, findPlaces: deps.findPlaces, refusals });
  const turns = new Turns(async () => {
    const before = await readTopology(store, mesh);
    const topology = (await noteTaken({ store, log }, before)) ? await readTopology(store, mesh) : before;
    const pending = stillAwaited(await store.tokens.pendingDialled(Date.now()), topology);
    const dials = dialsOf(topology, pending);
    mesh.assignDials(dials.get(SERVER) ?? []);
    watch.assign({ dials, parents: parentsAssignments(topology, self) });
    dialled.attempt(pending, topology);
  }, log);
  const recording = recordRefusals(deps);
  const identities = new IdentityService({ store, authority, log, refusals, onJoined: () => turns.soon() });
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
    enrolment.serve(stream).catch((err: unknown) => log.debug({ err }, 'an enrolment did not get to its session'));
  });
  mesh.listen('identity', { roles }, (stream) => identities.accept(stream));
  mesh.listen('topology', { roles: ['relay', 'mirror', 'tentacle'] }, (stream) => watch.accept(stream));
  await turns.start();

  const pin = authorityPin(authority.certificatePem);
  const serverAddress = deps.advertise ?? (mesh.address === undefined ? undefined : reachableAt(mesh.address));
  return {
    createToken: (tx, input, actor) => createToken(tx, input, actor, { sealer, pin, serverAddress }),
    revokeNode: (tx, id, actor) => revokeNode(tx, id, actor, revocation),
    async setParents(tx, id, change, actor) {
      const topology = await readTopology(tx, mesh);
      const node = await setParents(tx, id, { ...change, topology, serverAddress }, actor);
      return { node, after: () => turns.soon() };
    },
    async stop() {
      renewal.stop();
      await adopting.stop();
      turns.stop();
      await dialled.stop();
      await Promise.all([enrolment.stop(), identities.stop(), watch.stop()]);
      await recording.stop();
    },
  };
}

/** What this server's own mesh refuses; other nodes report theirs. */
function recordRefusals({ store, identity, mesh, log }: TopologyDeps): { stop(): Promise<void> } {
  const { node } = identity.current();
  const writing = new Set<Promise<unknown>>();
  const forget = mesh.refusals.onNoted((refusal) => {
    const written = store.refusals
      .record(refusal.by, refusalEvent(node, refusal))
      .catch((err: unknown) => log.warn({ err }, 'a refusal was not recorded'))
      .finally(() => writing.delete(written));
    writing.add(written);
  });
  return {
    async stop() {
      forget();
      await Promise.all(writing);
    },
  };
}

/** The server's own node is in the table like every other. */
async function ensureOwnRow({ store, identity }: TopologyDeps): Promise<void> {
  const { node, site } = identity.current();
  const certificateNotAfter = identity.peer().notAfterMs;
  await store.transaction(async (tx) => {
    if ((await tx.nodes.find(node)) !== undefined) {
      await tx.nodes.sighted(node, { certificateNotAfter, softwareVersion });
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
    await tx.nodes.sighted(node, { softwareVersion });
    await tx.events.append({
      actor: 'system',
      type: 'node.joined',
      subjectKind: 'node',
      subject: node,
      data: { role: 'server' },
    });
  });
}

/** Keeps the store's word on who is revoked up to what the mesh tells. */
class Adopting {
  readonly #deps: RevocationDeps;
  readonly #forget: () => void;
  readonly #running = new Mutex();

  constructor(deps: RevocationDeps) {
    this.#deps = deps;
    this.#forget = deps.revocations.onChange(() => void this.run());
  }

  run(): Promise<void> {
    return this.#running
      .run(() => adoptRevocations(this.#deps))
      .catch((err: unknown) => this.#deps.log.error({ err }, 'revocations were not adopted'));
  }

  async stop(): Promise<void> {
    this.#forget();
    await this.#running.idle();
  }
}

/** Runs a piece of work now, and again and again, never twice at once. */
class Turns {
  readonly #work: () => Promise<void>;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #running = false;
  #again = false;
  #stopped = false;

  constructor(work: () => Promise<void>, log: Logger) {
    this.#work = work;
    this.#log = log;
  }

  async start(): Promise<void> {
    await this.#run();
  }

  soon(): void {
    if (this.#running) this.#again = true;
    else void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    if (this.#stopped || this.#running) return;
    this.#running = true;
    clearTimeout(this.#timer);
    try {
      await this.#work();
    } catch (err) {
      this.#log.warn({ err }, 'the topology could not be read');
    }
    this.#running = false;
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#run(), this.#again ? 0 : turnMs);
    this.#again = false;
  }
}

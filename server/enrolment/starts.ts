// Which process may act as a node. A start is admitted when it follows the one that was admitted before, and that one
// is gone; every other one comes from a copy of the data folder, or from a snapshot of it. The store decides, so that
// two copies behind different relays are told apart before one of them gets a task.
import { IsthmusError } from '../../contract/errors.ts';
import { isChosen, type Reactivation } from '../../contract/nodes.ts';
import type { NodeStart } from '../../certs/starts.ts';
import { DenialLimiter } from '../../lib/net/denial-limiter.ts';
import { cloned, type StartPolicy, type StartSessions, type ToldStart } from '../../mesh/starts.ts';
import type { Mesh } from '../../mesh/types.ts';
import type { Actor } from '../store/base.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { revoked } from '../store/references.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import type { LiveTopology } from '../topology/live.ts';
import { recordDeniedStart } from '../topology/reports/denied-starts.ts';

/** A report that came this long after the question was not on its way before. */
const REPORT_DELAY_MS = 2_000;
/** How often it waits for that, where dead links are noticed sooner than a node reports. */
const ROUNDS = 10;
/** Denials that are recorded: a copy that is started over and over writes no more. */
const RECORDED = { perSource: 10, windowMs: 600_000, sources: 10_000 };

interface StartPolicyDeps {
  readonly store: Store;
  readonly topology: LiveTopology;
}

type Earlier = 'ended' | 'live' | 'unknown';

export class NodeStartPolicy implements StartPolicy {
  readonly #store: Store;
  readonly #topology: LiveTopology;
  readonly #limiter = new DenialLimiter(RECORDED);
  /** What is being found out about the process that was admitted last, by node and nonce. */
  readonly #looking = new Map<string, Promise<Earlier>>();

  constructor({ store, topology }: StartPolicyDeps) {
    this.#store = store;
    this.#topology = topology;
  }

  isCurrent(node: string, nonce: string): boolean {
    const current = this.#topology.nodes.get(node)?.startNonce ?? null;
    return current === null || current === nonce;
  }

  async admit(told: ToldStart, sessions: StartSessions): Promise<void> {
    const { peer, start } = told;
    const node = this.#topology.nodes.get(peer.node);
    // Servers tell none. Joining and unknown nodes may do nothing that another check does not allow.
    if (peer.role === 'server' || peer.provisional === true || node === undefined) return;
    if (start === undefined) {
      throw new IsthmusError('PROTOCOL', `${peer.node} does not tell which start of its process it is`);
    }
    if (node.startNonce === start.nonces[0]) return;
    if (follows(node, start)) {
      const earlier = await this.#earlier(node, sessions);
      if (earlier === 'unknown') {
        throw new IsthmusError('UNREACHABLE', `an earlier process of ${node.id} may still be live`, { hop: node.id });
      }
      if (earlier === 'ended' && (await this.#admit(node.id, start))) return;
    }
    await this.#deny(told, start);
  }

  /** Ends the links and sessions of a process as soon as another one was admitted in its place. */
  follow(mesh: Pick<Mesh, 'endOtherStarts'>): () => void {
    const known = new Map([...this.#topology.nodes.values()].map(({ id, startNonce }) => [id, startNonce]));
    return this.#topology.onChange(({ nodes }) => {
      for (const id of nodes) {
        const nonce = this.#topology.nodes.get(id)?.startNonce ?? null;
        if (nonce === (known.get(id) ?? null)) continue;
        known.set(id, nonce);
        if (nonce !== null) mesh.endOtherStarts(id, nonce);
      }
    });
  }

  /** Commits a start unless another one was committed meanwhile. */
  #admit(id: string, start: NodeStart): Promise<boolean> {
    const [nonce] = start.nonces;
    return this.#store.transaction(async (tx) => {
      const node = await tx.nodes.get(id);
      if (node.startNonce === nonce) return true;
      if (!follows(node, start)) return false;
      await tx.nodes.admitStart(id, { nonce, ofSameFolder: isOfSameFolder(node, start) });
      return true;
    });
  }

  /** What became of the process that was admitted last. */
  async #earlier({ id, startNonce }: Node, sessions: StartSessions): Promise<Earlier> {
    if (startNonce === null) return 'ended';
    const key = `${id} ${startNonce}`;
    const looking = this.#looking.get(key) ?? this.#look(id, startNonce, sessions);
    this.#looking.set(key, looking);
    try {
      return await looking;
    } finally {
      this.#looking.delete(key);
    }
  }

  async #look(id: string, nonce: string, sessions: StartSessions): Promise<Earlier> {
    const askedAt = Date.now();
    for (let round = 0; round < ROUNDS; round += 1) {
      if (await sessions.ended(id, nonce)) return 'ended';
      // A session that a broken path keeps open proves nothing; a report does.
      const reportedAt = this.#topology.nodes.get(id)?.lastSeenAt ?? 0;
      if (reportedAt > askedAt + REPORT_DELAY_MS) return 'live';
    }
    return 'unknown';
  }

  async #deny(told: ToldStart, { nonces, hostname }: NodeStart): Promise<never> {
    const { node } = told.peer;
    const { via, address = null } = told;
    const denied = { nonce: nonces[0], hostname, address, via, at: Date.now() };
    const known = this.#topology.nodes.get(node)?.deniedStarts.find(({ nonce }) => nonce === denied.nonce);
    const isKnown = known !== undefined && (known.address !== null || address === null);
    if (!isKnown && this.#limiter.admit(node) !== 'suppressed') {
      await this.#store.transaction((tx) => recordDeniedStart(tx, node, denied));
    }
    throw cloned(
      node,
      `another process acts as ${node}; this one, on ${hostname}, was started from a copy of its data`,
    );
  }
}

/**
 * Lets the denied process of a node in, of several the latest one, of a host and an address if they are named; the one
 * before is shut out at once. What was sent to that one is not sent again: see `journalGeneration`. NODE_NOT_CLONED
 * when none was denied, MACHINE_REVOKED when the node is revoked.
 */
export async function reactivateStart(
  tx: StoreTransaction,
  id: string,
  choice: Reactivation,
  actor: Actor,
): Promise<void> {
  const node = await tx.nodes.get(id);
  if (node.state === 'revoked') throw revoked(node, { hop: id });
  const denied = node.deniedStarts.find((each) => isChosen(each, choice));
  if (denied === undefined) {
    const on = choice.hostname === undefined ? '' : ` on ${choice.hostname}`;
    const where = choice.address === undefined ? on : `${on} at ${choice.address}`;
    throw new IsthmusError('NODE_NOT_CLONED', `no second process of ${id}${where} was denied`);
  }
  const { nonce, hostname, address } = denied;
  await tx.nodes.swapStart(id, nonce, Date.now());
  await tx.events.append({ actor, type: 'node.reactivated', subject: id, data: { hostname, address } });
}

/** Whether a start follows the one that was admitted, and none that was denied. */
function follows({ startNonce, deniedStarts }: Node, { nonces }: NodeStart): boolean {
  if (deniedStarts.some(({ nonce }) => nonces.includes(nonce))) return false;
  return startNonce === null || nonces.includes(startNonce);
}

/** Whether a start has all that the one before has written, for certain. */
function isOfSameFolder({ startNonce }: Node, { nonces, ofThisFolder }: NodeStart): boolean {
  return startNonce !== null && nonces.slice(0, ofThisFolder).includes(startNonce);
}

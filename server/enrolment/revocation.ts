// Revocation: the store holds who is revoked; the signed list carries it through the mesh. A subscription builds the
// list from the store, so that every committed revocation is published, also after a crash in between.
import type { Authority } from '../../certs/authority.ts';
import { LEAF_LIFETIME_MS } from '../../certs/authority.ts';
import { revocationStatement, type RevocationList } from '../../certs/revocations.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { DAY_MS } from '../../lib/time.ts';
import type { Subscription } from '../events/subscriptions.ts';
import type { Actor } from '../store/base.ts';
import type { Store, StoreTransaction } from '../store/store.ts';

export interface RevocationDeps {
  readonly store: Store;
  readonly authority: Authority;
  readonly revocations: RevocationList;
  readonly log: Logger;
  /** This server node, which cannot revoke itself. */
  readonly self: string;
}

/** Once every certificate from before a revocation has expired, the list need not name it any more. */
const KEPT_MS = LEAF_LIFETIME_MS + DAY_MS;

/** Publishes the list after each revocation. */
export function revocationSubscription(deps: RevocationDeps): Subscription<'node.revoked'> {
  return {
    types: ['node.revoked'],
    from: 'start',
    act: async () => {
      await publishRevocations(deps);
    },
  };
}

/**
 * Marks a node revoked; the event makes the mesh learn of it. Repeating it changes nothing. Throws NOT_FOUND when there
 * is no such node, FORBIDDEN for this server itself.
 */
export async function revokeNode(tx: StoreTransaction, id: string, actor: Actor, self: string): Promise<void> {
  if (id === self) {
    throw new IsthmusError('FORBIDDEN', `${id} is this server; a server cannot revoke itself`);
  }
  const node = await tx.nodes.get(id);
  if (await tx.nodes.revoke(id, Date.now())) {
    await tx.events.append({
      actor,
      type: 'node.revoked',
      subject: id,
      data: { role: node.role, site: node.site },
    });
  }
}

/**
 * Marks nodes revoked that the list names and the store does not: the store was restored from a backup, and a neighbour
 * sent a newer list. They are revoked as of now, so that a certificate issued since, which the store does not know
 * either, is denied as well.
 */
export async function adoptRevocations(deps: RevocationDeps): Promise<void> {
  const { store, revocations, log, self } = deps;
  const adopted: string[] = [];
  for (const { node: id, revokedAtMs } of revocations.entries()) {
    const known = await store.nodes.find(id);
    if (id === self || known?.state !== 'active' || (known.revokedAt ?? 0) >= revokedAtMs) continue;
    await store.transaction(async (tx) => {
      if (!(await tx.nodes.revoke(id, Date.now()))) return;
      const { role, site } = known;
      const data = { role, site, revokedAt: revokedAtMs };
      await tx.events.append({ actor: 'system', type: 'node.revoked', subject: id, data });
      adopted.push(id);
    });
  }
  if (adopted.length === 0) return;
  log.warn({ nodes: adopted }, 'nodes were revoked that this store, restored from a backup, did not know as revoked');
}

/** Updates the signed list from the store; returns whether it changed. */
export async function publishRevocations({ store, authority, revocations, log }: RevocationDeps): Promise<boolean> {
  const now = Date.now();
  // Includes nodes that have rejoined since: their earlier certificates stay revoked.
  const stored = (await store.nodes.all()).flatMap(({ id, revokedAt }) =>
    revokedAt === null ? [] : [{ node: id, revokedAtMs: revokedAt }],
  );
  // A store restored from a backup misses later revocations; the list from the neighbours has them.
  const latest = new Map<string, number>();
  for (const { node, revokedAtMs } of [...stored, ...revocations.entries()])
    latest.set(node, Math.max(revokedAtMs, latest.get(node) ?? 0));
  const nodes = [...latest]
    .map(([node, revokedAtMs]) => ({ node, revokedAtMs }))
    .filter(({ revokedAtMs }) => now - revokedAtMs < KEPT_MS);
  const known = new Map(revocations.entries().map(({ node, revokedAtMs }) => [node, revokedAtMs]));
  if (nodes.every(({ node, revokedAtMs }) => known.get(node) === revokedAtMs)) return false;
  // Higher than every earlier version, also after this server was restored from an old backup.
  const version = Math.max(revocations.version + 1, now);
  const statement = revocationStatement(authority.meshId, version, nodes);
  const outcome = revocations.merge({ statement, signature: authority.sign('revocations', statement) });
  log.info({ version, nodes: nodes.length, outcome }, 'revocations published');
  return true;
}

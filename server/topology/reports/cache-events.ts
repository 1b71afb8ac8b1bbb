// Events for what a mirror reports of its cache: it is full, has room again, or found damaged packages. Reports are not
// trusted: what a node can write this way is bounded.
import type { PeerIdentity } from '../../../certs/peer.ts';
import { DenialLimiter } from '../../../lib/net/denial-limiter.ts';
import type { CacheState__Output } from '../../../proto/gen/isthmus/topology/v1/CacheState.ts';
import type { StoreTransaction } from '../../store/store.ts';

const LIMITS = { perSource: 16, inAll: 256, windowMs: 600_000, sources: 10_000 };

export class CacheEvents {
  readonly #limiter = new DenialLimiter(LIMITS);

  /** Records what has changed since the last report, which is replaced in the same transaction. */
  async record(
    tx: StoreTransaction,
    { node, role }: Pick<PeerIdentity, 'node' | 'role'>,
    cache: CacheState__Output | null,
  ): Promise<void> {
    if (role !== 'mirror' || cache === null) return;
    const { full: wasFull = false, damaged: before = cache.damaged } = cacheIn((await tx.nodes.get(node)).report);
    const packages = cache.damaged - before;
    if (cache.full === wasFull && packages <= 0) return;
    if (this.#limiter.admit(node) === 'suppressed') return;
    const common = { actor: node, subject: node };
    if (cache.full && !wasFull) await tx.events.append({ ...common, type: 'mirror.cache-filled', data: {} });
    if (!cache.full && wasFull) await tx.events.append({ ...common, type: 'mirror.cache-freed', data: {} });
    if (packages > 0) await tx.events.append({ ...common, type: 'mirror.damage-found', data: { packages } });
  }
}

function cacheIn(report: unknown): Partial<CacheState__Output> {
  return (report as { readonly cache?: CacheState__Output | null } | null)?.cache ?? {};
}

// Events for sources of packages that nodes report to have been too slow for them. Reports are not trusted: what a node
// can write this way is bounded.
import { isSha256 } from '../../../lib/blobs/digest.ts';
import { DenialLimiter } from '../../../lib/net/denial-limiter.ts';
import type { AbandonedSource__Output } from '../../../proto/gen/isthmus/topology/v1/AbandonedSource.ts';
import type { NodeReport__Output } from '../../../proto/gen/isthmus/topology/v1/NodeReport.ts';
import { SERVER } from '../../store/nodes/parents.ts';
import type { StoreTransaction } from '../../store/store.ts';

const LIMITS = { perSource: 16, inAll: 256, windowMs: 600_000, sources: 10_000 };

export class AbandonedSourceEvents {
  readonly #limiter = new DenialLimiter(LIMITS);

  /** Records what the node's last report lacked. It is replaced in the same transaction: each is recorded once. */
  async record(tx: StoreTransaction, by: string, reported: readonly AbandonedSource__Output[]): Promise<void> {
    if (reported.length === 0) return;
    const known = new Set(idsIn((await tx.nodes.get(by)).report));
    for (const { id, node, sha256, bytes, ms, atMs: at } of reported.slice(-LIMITS.perSource)) {
      if (known.has(id) || !isSha256(sha256) || !(await isNode(tx, node))) continue;
      if (this.#limiter.admit(by) === 'suppressed') return;
      const data = { by, sha256, bytes, ms, at };
      await tx.events.append({ actor: by, type: 'source.abandoned', subject: node, data });
    }
  }
}

async function isNode(tx: StoreTransaction, node: string): Promise<boolean> {
  return node === SERVER || (await tx.nodes.find(node)) !== undefined;
}

function idsIn(report: unknown): readonly string[] {
  const { abandonedSources = [] } = (report ?? {}) as Partial<NodeReport__Output>;
  return abandonedSources.map(({ id }) => id);
}

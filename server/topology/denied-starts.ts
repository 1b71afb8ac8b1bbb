// Starts of a node that were denied because another process acts as it: recorded with the node, and told by an event.
import type { DeniedStart } from '../store/nodes/nodes.ts';
import type { StoreTransaction } from '../store/store.ts';

/** Records that a start was denied. One event for each start, however often it comes. */
export async function recordDeniedStart(tx: StoreTransaction, id: string, denied: DeniedStart): Promise<void> {
  const { startNonce, deniedStart: before } = await tx.nodes.get(id);
  // Let in meanwhile.
  if (startNonce === denied.nonce) return;
  const isKnown = before?.nonce === denied.nonce;
  if (isKnown && (before.address !== null || denied.address === null)) return;
  await tx.nodes.denyStart(id, denied);
  if (isKnown) return;
  const { hostname, address, via } = denied;
  await tx.events.append({ actor: 'system', type: 'node.cloned', subject: id, data: { hostname, address, via } });
}

// Starts of a node that were denied because another process acts as it: recorded with the node, and told by an event.
import type { DeniedStart } from '../../store/nodes/nodes.ts';
import type { StoreTransaction } from '../../store/store.ts';

/** A node that was copied more often: the latest of its copies are enough to find them. */
const MAX_DENIED = 8;

/** Records that a start was denied. One event for each start, however often it comes. */
export async function recordDeniedStart(tx: StoreTransaction, id: string, denied: DeniedStart): Promise<void> {
  const { startNonce, deniedStarts } = await tx.nodes.get(id);
  // Let in meanwhile.
  if (startNonce === denied.nonce) return;
  const known = deniedStarts.find(({ nonce }) => nonce === denied.nonce);
  if (known !== undefined && (known.address !== null || denied.address === null)) return;
  const others = deniedStarts.filter((each) => each !== known);
  await tx.nodes.setDeniedStarts(id, [denied, ...others].slice(0, MAX_DENIED));
  if (known !== undefined) return;
  const { hostname, address, via } = denied;
  await tx.events.append({ actor: 'system', type: 'node.cloned', subject: id, data: { hostname, address, via } });
}

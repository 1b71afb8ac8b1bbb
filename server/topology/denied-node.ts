// Whether a node is not reached because its process is denied: one that was restored from a snapshot, or whose folder was
// moved, while the server knows a later one.
import { IsthmusError } from '../../contract/errors.ts';
import type { Node } from '../store/nodes/nodes.ts';

/**
 * NODE_CLONED when a start of the node was denied after its admitted process had reported for the last time; undefined
 * while that one goes on, since a copy beside it does not keep calls from it.
 */
export function denialOf(node: Pick<Node, 'id' | 'deniedStarts' | 'lastSeenAt'> | undefined): IsthmusError | undefined {
  const latest = node?.deniedStarts[0];
  if (node === undefined || latest === undefined || latest.at <= (node.lastSeenAt ?? 0)) return undefined;
  const { hostname, address, via } = latest;
  const where = `${hostname} (${address ?? 'address unknown'} via ${via})`;
  return new IsthmusError(
    'NODE_CLONED',
    `the process of ${node.id} on ${where} is denied, and the one before it reports no more`,
    { hop: node.id, action: { code: 'REACTIVATE_NODE', arguments: { node: node.id } } },
  );
}

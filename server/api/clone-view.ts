// What the API shows about a denied process of a node.
import type { NodeClone } from '../../contract/nodes.ts';
import type { Node } from '../store/nodes/nodes.ts';

/** The denied process without its nonce; null when none was denied. */
export function cloneView({ deniedStart }: Pick<Node, 'deniedStart'>): NodeClone | null {
  if (deniedStart === null) return null;
  const { hostname, address, via, at } = deniedStart;
  return { hostname, address, via, at };
}

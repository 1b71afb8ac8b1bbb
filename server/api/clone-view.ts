// What the API shows about the denied processes of a node.
import type { NodeClone } from '../../contract/nodes.ts';
import type { Node } from '../store/nodes/nodes.ts';

/** The denied processes without their nonces, the latest first. */
export function clonesView({ deniedStarts }: Pick<Node, 'deniedStarts'>): NodeClone[] {
  return deniedStarts.map(({ hostname, address, via, at }) => ({ hostname, address, via, at }));
}

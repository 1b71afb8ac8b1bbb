// Walks up the parents of nodes; no other file does. A chain is the relays from a node up to the server, nearest first.
import { MAX_HOPS } from '../../mesh/limits.ts';
import type { Parent } from '../../contract/nodes.ts';
import { SERVER } from '../store/nodes/parents.ts';
import type { Node } from '../store/nodes/nodes.ts';

/** How many chains are searched for one node; those over preferred parents are found first. */
const MAX_CHAINS = 8;

export type Chain = readonly string[];

/** What the walk needs to know of a node. */
type Climber = Pick<Node, 'role'> & { readonly parents: readonly Pick<Parent, 'node'>[] };

/**
 * The chains from a node with these parents, preferred parents first. A chain that loops, is longer than MAX_HOPS or
 * does not end at the server is left out.
 */
export function chainsUp(parents: Climber['parents'], nodes: ReadonlyMap<string, Climber>): readonly Chain[] {
  const chains: Chain[] = [];
  const climb = (at: string, below: Chain): void => {
    if (chains.length === MAX_CHAINS) return;
    const node = nodes.get(at);
    if (at === SERVER || node?.role === 'server') {
      chains.push(below);
      return;
    }
    if (node === undefined || below.includes(at) || below.length === MAX_HOPS) return;
    for (const parent of node.parents) climb(parent.node, [...below, at]);
  };
  for (const parent of parents) climb(parent.node, []);
  return chains;
}

/** A node and every node above it, by present and by desired parents. */
export function withAllAbove(
  id: string,
  nodes: ReadonlyMap<string, Pick<Node, 'parents' | 'desired'>>,
): ReadonlySet<string> {
  const above = new Set<string>();
  const climb = (at: string): void => {
    if (above.has(at)) return;
    above.add(at);
    const node = nodes.get(at);
    for (const parent of [...(node?.parents ?? []), ...(node?.desired?.parents ?? [])]) climb(parent.node);
  };
  climb(id);
  return above;
}

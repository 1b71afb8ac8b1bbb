// A node's parents, in order of preference, and the ways up that they make: what topology, routes and places share.

export interface Parent {
  /** 'server' or a relay's id. */
  readonly node: string;
  /** host:port at which this parent dials the node; null when the node dials it. */
  readonly dialAddress: string | null;
}

/** A parent that a node is to go over to. */
export interface WishedParent extends Parent {
  /** host:port at which the node dials it; null when it dials the node. */
  readonly address: string | null;
}

/** The parents that an operator wishes a node to have, and that it has not gone over to yet. */
export interface ParentsWish {
  /** In order of preference. */
  readonly parents: readonly WishedParent[];
  /** Tells one wish from the next, too. */
  readonly setAt: number;
  readonly setBy: string;
}

/** The name that stands for any node of role server, in parents, routes and places. */
export const SERVER = 'server';

/** Relays that a tunnel may cross; every node on the way counts them too. */
export const MAX_HOPS = 8;

/** As many parents as a node may have: two are for when one fails, more are for who has more than two sites. */
export const MAX_PARENTS = 4;

/** As many ways up are looked for, the preferred ones first. */
const MAX_CHAINS = 8;

/** What must be known of a node to climb from it. */
interface Climber {
  readonly role: string;
  readonly parents: readonly Pick<Parent, 'node'>[];
}

/**
 * The chains of relays from a node with these parents up to the server, nearest first, those of the preferred parents
 * before the others. A chain that goes in a circle, is too long or does not end at the server is left out.
 */
export function chainsUp(
  parents: readonly Pick<Parent, 'node'>[],
  nodes: ReadonlyMap<string, Climber>,
): readonly (readonly string[])[] {
  const chains: (readonly string[])[] = [];
  const climb = (at: string, below: readonly string[]): void => {
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

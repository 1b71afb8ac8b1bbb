// A node's parents as they are stored, in order of preference.

export interface Parent {
  /** 'server' or a relay's id. */
  readonly node: string;
  /** host:port at which this parent dials the node; null when the node dials it. */
  readonly dialAddress: string | null;
}

/** A parent that a node is to go over to. */
export interface DesiredParent extends Parent {
  /** host:port at which the node dials it; null when it dials the node. */
  readonly address: string | null;
}

/** The parents that an operator desired parents a node to have, and that it has not moved to yet. */
export interface DesiredParents {
  /** In order of preference. */
  readonly parents: readonly DesiredParent[];
  /** Tells one desired from the next, too. */
  readonly setAt: number;
  readonly setBy: string;
}

/** The name that stands for any node of role server, in parents, routes and places. */
export const SERVER = 'server';

/** As many parents as a node may have: two are for when one fails, more are for who has more than two sites. */
export const MAX_PARENTS = 4;

// The stored form of a node's parents, present and desired.

export interface Parent {
  /** 'server' or a relay's id. */
  readonly node: string;
  /** host:port at which this parent dials the node; null when the node dials it. */
  readonly dialAddress: string | null;
}

/** A desired parent. */
export interface DesiredParent extends Parent {
  /** host:port at which the node dials it; null when it dials the node. */
  readonly address: string | null;
}

/** The parents that an operator has set for a node, until it has moved to them. */
export interface DesiredParents {
  /** In order of preference. */
  readonly parents: readonly DesiredParent[];
  /** When they were set; also tells these from later ones. */
  readonly setAt: number;
  readonly setBy: string;
}

/** The name that stands for any node of role server, in parents, routes and sources. */
export const SERVER = 'server';

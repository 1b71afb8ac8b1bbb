// A node's parents: the stored form of the desired ones, and the name of the server among them.
import type { DesiredParent } from '../../../contract/nodes.ts';

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

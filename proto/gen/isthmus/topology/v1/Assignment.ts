// Original file: proto/isthmus/topology/v1/topology.proto

import type { DialAssignment as _isthmus_topology_v1_DialAssignment, DialAssignment__Output as _isthmus_topology_v1_DialAssignment__Output } from '../../../isthmus/topology/v1/DialAssignment.ts';
import type { NodeParent as _isthmus_topology_v1_NodeParent, NodeParent__Output as _isthmus_topology_v1_NodeParent__Output } from '../../../isthmus/topology/v1/NodeParent.ts';
import type { Long } from '@grpc/proto-loader';

export interface Assignment {
  /**
   * The children this node must dial; replaces what was assigned before.
   */
  'dial'?: (_isthmus_topology_v1_DialAssignment)[];
  /**
   * The parents to go over to, in order of preference. None: it keeps those that it has, and ends every other link.
   */
  'parents'?: (_isthmus_topology_v1_NodeParent)[];
  /**
   * Tells these parents from those of other assignments.
   */
  'parentsVersion'?: (number | string | Long);
}

export interface Assignment__Output {
  /**
   * The children this node must dial; replaces what was assigned before.
   */
  'dial': (_isthmus_topology_v1_DialAssignment__Output)[];
  /**
   * The parents to go over to, in order of preference. None: it keeps those that it has, and ends every other link.
   */
  'parents': (_isthmus_topology_v1_NodeParent__Output)[];
  /**
   * Tells these parents from those of other assignments.
   */
  'parentsVersion': (number);
}

// Original file: proto/isthmus/topology/v1/topology.proto

import type { DialAssignment as _isthmus_topology_v1_DialAssignment, DialAssignment__Output as _isthmus_topology_v1_DialAssignment__Output } from '../../../isthmus/topology/v1/DialAssignment.ts';

export interface Assignment {
  /**
   * The children this node must dial; replaces what was assigned before.
   */
  'dial'?: (_isthmus_topology_v1_DialAssignment)[];
}

export interface Assignment__Output {
  /**
   * The children this node must dial; replaces what was assigned before.
   */
  'dial': (_isthmus_topology_v1_DialAssignment__Output)[];
}

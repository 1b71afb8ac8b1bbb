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
   * The desired parents, in order of preference. Empty: the node keeps the applied parents and ends all other parent
   * links.
   */
  'parents'?: (_isthmus_topology_v1_NodeParent)[];
  /**
   * Identifies these desired parents; the node reports it back once they are applied.
   */
  'parentsVersion'?: (number | string | Long);
}

export interface Assignment__Output {
  /**
   * The children this node must dial; replaces what was assigned before.
   */
  'dial': (_isthmus_topology_v1_DialAssignment__Output)[];
  /**
   * The desired parents, in order of preference. Empty: the node keeps the applied parents and ends all other parent
   * links.
   */
  'parents': (_isthmus_topology_v1_NodeParent__Output)[];
  /**
   * Identifies these desired parents; the node reports it back once they are applied.
   */
  'parentsVersion': (number);
}

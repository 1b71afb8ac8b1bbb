// Original file: proto/isthmus/mesh/v1/link.proto

import type { Relation as _isthmus_mesh_v1_Relation, Relation__Output as _isthmus_mesh_v1_Relation__Output } from '../../../isthmus/mesh/v1/Relation.ts';
import type { NodeStart as _isthmus_mesh_v1_NodeStart, NodeStart__Output as _isthmus_mesh_v1_NodeStart__Output } from '../../../isthmus/mesh/v1/NodeStart.ts';
import type { Long } from '@grpc/proto-loader';

export interface Hello {
  /**
   * The oldest and the newest wire version that the sender speaks. Both sides use the highest that both speak.
   */
  'oldestWireVersion'?: (number);
  'newestWireVersion'?: (number);
  /**
   * The peer relation: whether the sender is the receiver's parent (nearer the server) or its child.
   */
  'relation'?: (_isthmus_mesh_v1_Relation);
  /**
   * Rises with every session of the node, so that a late old session cannot replace a newer one.
   */
  'sessionEpoch'?: (number | string | Long);
  'sessionId'?: (Buffer | Uint8Array | string);
  'revocationsVersion'?: (number | string | Long);
  'softwareVersion'?: (string);
  'start'?: (_isthmus_mesh_v1_NodeStart | null);
}

export interface Hello__Output {
  /**
   * The oldest and the newest wire version that the sender speaks. Both sides use the highest that both speak.
   */
  'oldestWireVersion': (number);
  'newestWireVersion': (number);
  /**
   * The peer relation: whether the sender is the receiver's parent (nearer the server) or its child.
   */
  'relation': (_isthmus_mesh_v1_Relation__Output);
  /**
   * Rises with every session of the node, so that a late old session cannot replace a newer one.
   */
  'sessionEpoch': (number);
  'sessionId': (Buffer);
  'revocationsVersion': (number);
  'softwareVersion': (string);
  'start': (_isthmus_mesh_v1_NodeStart__Output | null);
}

// Original file: proto/isthmus/mesh/v1/link.proto

import type { Relation as _isthmus_mesh_v1_Relation, Relation__Output as _isthmus_mesh_v1_Relation__Output } from '../../../isthmus/mesh/v1/Relation.ts';
import type { Long } from '@grpc/proto-loader';

export interface Hello {
  /**
   * The oldest version the sender speaks. A node of version 1 takes nothing but 1 here.
   */
  'oldestWireVersion'?: (number);
  /**
   * What the sender is to the receiver: its parent (nearer the server) or its child.
   */
  'relation'?: (_isthmus_mesh_v1_Relation);
  /**
   * Rises with every session of this node, so that a late old session cannot replace a new one.
   */
  'sessionEpoch'?: (number | string | Long);
  'sessionId'?: (Buffer | Uint8Array | string);
  'revocationsVersion'?: (number | string | Long);
  'softwareVersion'?: (string);
  /**
   * The newest version the sender speaks; nodes of version 1 do not say it. The highest that both speak is spoken.
   */
  'newestWireVersion'?: (number);
}

export interface Hello__Output {
  /**
   * The oldest version the sender speaks. A node of version 1 takes nothing but 1 here.
   */
  'oldestWireVersion': (number);
  /**
   * What the sender is to the receiver: its parent (nearer the server) or its child.
   */
  'relation': (_isthmus_mesh_v1_Relation__Output);
  /**
   * Rises with every session of this node, so that a late old session cannot replace a new one.
   */
  'sessionEpoch': (number);
  'sessionId': (Buffer);
  'revocationsVersion': (number);
  'softwareVersion': (string);
  /**
   * The newest version the sender speaks; nodes of version 1 do not say it. The highest that both speak is spoken.
   */
  'newestWireVersion': (number);
}

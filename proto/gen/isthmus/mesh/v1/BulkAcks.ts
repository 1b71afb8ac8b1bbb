// Original file: proto/isthmus/mesh/v1/link.proto

import type { BulkAck as _isthmus_mesh_v1_BulkAck, BulkAck__Output as _isthmus_mesh_v1_BulkAck__Output } from '../../../isthmus/mesh/v1/BulkAck.ts';

export interface BulkAcks {
  'acks'?: (_isthmus_mesh_v1_BulkAck)[];
}

export interface BulkAcks__Output {
  'acks': (_isthmus_mesh_v1_BulkAck__Output)[];
}

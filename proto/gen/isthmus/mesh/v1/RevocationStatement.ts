// Original file: proto/isthmus/mesh/v1/link.proto

import type { RevokedNode as _isthmus_mesh_v1_RevokedNode, RevokedNode__Output as _isthmus_mesh_v1_RevokedNode__Output } from '../../../isthmus/mesh/v1/RevokedNode.ts';
import type { Long } from '@grpc/proto-loader';

export interface RevocationStatement {
  'meshId'?: (string);
  'version'?: (number | string | Long);
  'nodes'?: (_isthmus_mesh_v1_RevokedNode)[];
}

export interface RevocationStatement__Output {
  'meshId': (string);
  'version': (number);
  'nodes': (_isthmus_mesh_v1_RevokedNode__Output)[];
}

// Original file: proto/isthmus/mesh/v1/link.proto

import type { Long } from '@grpc/proto-loader';

export interface RevokedNode {
  'node'?: (string);
  /**
   * Certificates of this node issued before this moment are revoked.
   */
  'revokedAtMs'?: (number | string | Long);
}

export interface RevokedNode__Output {
  'node': (string);
  /**
   * Certificates of this node issued before this moment are revoked.
   */
  'revokedAtMs': (number);
}

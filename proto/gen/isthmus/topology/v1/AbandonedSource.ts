// Original file: proto/isthmus/topology/v1/topology.proto

import type { Long } from '@grpc/proto-loader';

/**
 * The server records each id once.
 */
export interface AbandonedSource {
  'id'?: (string);
  /**
   * The node that was too slow.
   */
  'node'?: (string);
  'sha256'?: (string);
  /**
   * What came in the last `ms`.
   */
  'bytes'?: (number | string | Long);
  'ms'?: (number | string | Long);
  'atMs'?: (number | string | Long);
}

/**
 * The server records each id once.
 */
export interface AbandonedSource__Output {
  'id': (string);
  /**
   * The node that was too slow.
   */
  'node': (string);
  'sha256': (string);
  /**
   * What came in the last `ms`.
   */
  'bytes': (number);
  'ms': (number);
  'atMs': (number);
}

// Original file: proto/isthmus/topology/v1/topology.proto

import type { Long } from '@grpc/proto-loader';

/**
 * One denied request. The server records each id once.
 */
export interface Denial {
  'id'?: (string);
  /**
   * A code of docs/errors.md.
   */
  'code'?: (string);
  /**
   * Who was denied: a node id, or an address.
   */
  'by'?: (string);
  /**
   * The service, call or port that was denied.
   */
  'what'?: (string);
  'detail'?: (string);
  'atMs'?: (number | string | Long);
}

/**
 * One denied request. The server records each id once.
 */
export interface Denial__Output {
  'id': (string);
  /**
   * A code of docs/errors.md.
   */
  'code': (string);
  /**
   * Who was denied: a node id, or an address.
   */
  'by': (string);
  /**
   * The service, call or port that was denied.
   */
  'what': (string);
  'detail': (string);
  'atMs': (number);
}

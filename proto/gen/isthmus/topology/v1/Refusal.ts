// Original file: proto/isthmus/topology/v1/topology.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Somebody was not let do something: of each, the server makes one audit event.
 */
export interface Refusal {
  'id'?: (string);
  /**
   * A code of docs/errors.md.
   */
  'code'?: (string);
  /**
   * The node that was refused, or its address.
   */
  'by'?: (string);
  /**
   * The service, call or port that it was refused.
   */
  'what'?: (string);
  'detail'?: (string);
  'atMs'?: (number | string | Long);
}

/**
 * Somebody was not let do something: of each, the server makes one audit event.
 */
export interface Refusal__Output {
  'id': (string);
  /**
   * A code of docs/errors.md.
   */
  'code': (string);
  /**
   * The node that was refused, or its address.
   */
  'by': (string);
  /**
   * The service, call or port that it was refused.
   */
  'what': (string);
  'detail': (string);
  'atMs': (number);
}

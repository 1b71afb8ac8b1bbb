// Original file: proto/isthmus/topology/v1/topology.proto

import type { DeniedStart as _isthmus_topology_v1_DeniedStart, DeniedStart__Output as _isthmus_topology_v1_DeniedStart__Output } from '../../../isthmus/topology/v1/DeniedStart.ts';
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
  /**
   * Set where a second process of a node was denied.
   */
  'deniedStart'?: (_isthmus_topology_v1_DeniedStart | null);
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
  /**
   * Set where a second process of a node was denied.
   */
  'deniedStart': (_isthmus_topology_v1_DeniedStart__Output | null);
}

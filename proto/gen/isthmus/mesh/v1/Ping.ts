// Original file: proto/isthmus/mesh/v1/link.proto

import type { Long } from '@grpc/proto-loader';

export interface Ping {
  'id'?: (number | string | Long);
  /**
   * The sender, or a node below it, has a second path beside this link: both sides use the fast heartbeat interval and
   * link timeout.
   */
  'fast'?: (boolean);
}

export interface Ping__Output {
  'id': (number);
  /**
   * The sender, or a node below it, has a second path beside this link: both sides use the fast heartbeat interval and
   * link timeout.
   */
  'fast': (boolean);
}

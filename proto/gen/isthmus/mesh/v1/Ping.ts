// Original file: proto/isthmus/mesh/v1/link.proto

import type { Long } from '@grpc/proto-loader';

export interface Ping {
  'id'?: (number | string | Long);
  /**
   * The sender has a second path beside this link, or is asked so by a node below it: both sides beat each second and
   * take silence for death within three.
   */
  'fast'?: (boolean);
}

export interface Ping__Output {
  'id': (number);
  /**
   * The sender has a second path beside this link, or is asked so by a node below it: both sides beat each second and
   * take silence for death within three.
   */
  'fast': (boolean);
}

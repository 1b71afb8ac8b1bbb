// Original file: proto/isthmus/topology/v1/topology.proto

import type { Long } from '@grpc/proto-loader';

export interface SourceState {
  /**
   * The source, a node or the id of a package source; the relays of one path to it follow, apart by spaces.
   */
  'source'?: (string);
  /**
   * 0: not measured.
   */
  'bytesPerS'?: (number | string | Long);
  /**
   * 0: not demoted.
   */
  'demotedAtMs'?: (number | string | Long);
  /**
   * The error code for which it is demoted.
   */
  'code'?: (string);
}

export interface SourceState__Output {
  /**
   * The source, a node or the id of a package source; the relays of one path to it follow, apart by spaces.
   */
  'source': (string);
  /**
   * 0: not measured.
   */
  'bytesPerS': (number);
  /**
   * 0: not demoted.
   */
  'demotedAtMs': (number);
  /**
   * The error code for which it is demoted.
   */
  'code': (string);
}

// Original file: proto/isthmus/mirror/v1/mirror.proto

import type { Long } from '@grpc/proto-loader';

export interface StoredPackage {
  'sha256'?: (string);
  'sizeBytes'?: (number | string | Long);
  'usedAtMs'?: (number | string | Long);
  /**
   * How often it was requested, and whether it is not evicted.
   */
  'uses'?: (number);
  'pinned'?: (boolean);
  'leased'?: (boolean);
}

export interface StoredPackage__Output {
  'sha256': (string);
  'sizeBytes': (number);
  'usedAtMs': (number);
  /**
   * How often it was requested, and whether it is not evicted.
   */
  'uses': (number);
  'pinned': (boolean);
  'leased': (boolean);
}

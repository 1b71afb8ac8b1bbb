// Original file: proto/isthmus/mirror/v1/mirror.proto

import type { Long } from '@grpc/proto-loader';

export interface WarmProgress {
  'receivedBytes'?: (number | string | Long);
  'totalBytes'?: (number | string | Long);
  'done'?: (boolean);
  /**
   * The package was in the cache; nothing was fetched.
   */
  'cached'?: (boolean);
}

export interface WarmProgress__Output {
  'receivedBytes': (number);
  'totalBytes': (number);
  'done': (boolean);
  /**
   * The package was in the cache; nothing was fetched.
   */
  'cached': (boolean);
}

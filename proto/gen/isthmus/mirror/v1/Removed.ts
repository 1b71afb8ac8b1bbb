// Original file: proto/isthmus/mirror/v1/mirror.proto

import type { Long } from '@grpc/proto-loader';

export interface Removed {
  'sha256'?: (string);
  'sizeBytes'?: (number | string | Long);
  /**
   * "package", "partial" or "damaged".
   */
  'what'?: (string);
}

export interface Removed__Output {
  'sha256': (string);
  'sizeBytes': (number);
  /**
   * "package", "partial" or "damaged".
   */
  'what': (string);
}

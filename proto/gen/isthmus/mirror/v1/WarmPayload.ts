// Original file: proto/isthmus/mirror/v1/mirror.proto

import type { Long } from '@grpc/proto-loader';

/**
 * The payload of an envelope of kind "warm".
 */
export interface WarmPayload {
  'sha256'?: (string);
  'sizeBytes'?: (number | string | Long);
  /**
   * 0: no limit.
   */
  'maxBytesPerS'?: (number | string | Long);
}

/**
 * The payload of an envelope of kind "warm".
 */
export interface WarmPayload__Output {
  'sha256': (string);
  'sizeBytes': (number);
  /**
   * 0: no limit.
   */
  'maxBytesPerS': (number);
}

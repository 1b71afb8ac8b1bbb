// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { FailedPlace as _isthmus_tentacle_v1_FailedPlace, FailedPlace__Output as _isthmus_tentacle_v1_FailedPlace__Output } from '../../../isthmus/tentacle/v1/FailedPlace.ts';
import type { Long } from '@grpc/proto-loader';

export interface AcquireProgress {
  'receivedBytes'?: (number | string | Long);
  'totalBytes'?: (number | string | Long);
  /**
   * The node it is coming, or came, from.
   */
  'from'?: (string);
  'done'?: (boolean);
  /**
   * It was in the tentacle's cache already; nothing was fetched.
   */
  'cached'?: (boolean);
  /**
   * Places that were tried and failed, with their codes, in order.
   */
  'failed'?: (_isthmus_tentacle_v1_FailedPlace)[];
}

export interface AcquireProgress__Output {
  'receivedBytes': (number);
  'totalBytes': (number);
  /**
   * The node it is coming, or came, from.
   */
  'from': (string);
  'done': (boolean);
  /**
   * It was in the tentacle's cache already; nothing was fetched.
   */
  'cached': (boolean);
  /**
   * Places that were tried and failed, with their codes, in order.
   */
  'failed': (_isthmus_tentacle_v1_FailedPlace__Output)[];
}

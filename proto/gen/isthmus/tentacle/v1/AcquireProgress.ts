// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { FailedSource as _isthmus_tentacle_v1_FailedSource, FailedSource__Output as _isthmus_tentacle_v1_FailedSource__Output } from '../../../isthmus/tentacle/v1/FailedSource.ts';
import type { Long } from '@grpc/proto-loader';

export interface AcquireProgress {
  'receivedBytes'?: (number | string | Long);
  'totalBytes'?: (number | string | Long);
  /**
   * The node that sends, or sent, the package.
   */
  'from'?: (string);
  'done'?: (boolean);
  /**
   * The package was in the tentacle's cache; nothing was fetched.
   */
  'cached'?: (boolean);
  /**
   * The sources that failed, in order, each with its code.
   */
  'failed'?: (_isthmus_tentacle_v1_FailedSource)[];
}

export interface AcquireProgress__Output {
  'receivedBytes': (number);
  'totalBytes': (number);
  /**
   * The node that sends, or sent, the package.
   */
  'from': (string);
  'done': (boolean);
  /**
   * The package was in the tentacle's cache; nothing was fetched.
   */
  'cached': (boolean);
  /**
   * The sources that failed, in order, each with its code.
   */
  'failed': (_isthmus_tentacle_v1_FailedSource__Output)[];
}

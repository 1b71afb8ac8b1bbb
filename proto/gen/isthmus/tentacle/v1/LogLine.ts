// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { LineEnding as _isthmus_tentacle_v1_LineEnding, LineEnding__Output as _isthmus_tentacle_v1_LineEnding__Output } from '../../../isthmus/tentacle/v1/LineEnding.ts';
import type { Long } from '@grpc/proto-loader';

export interface LogLine {
  /**
   * "stdout", "stderr" or "agent".
   */
  'stream'?: (string);
  'atMs'?: (number | string | Long);
  'text'?: (string);
  'ending'?: (_isthmus_tentacle_v1_LineEnding);
}

export interface LogLine__Output {
  /**
   * "stdout", "stderr" or "agent".
   */
  'stream': (string);
  'atMs': (number);
  'text': (string);
  'ending': (_isthmus_tentacle_v1_LineEnding__Output);
}

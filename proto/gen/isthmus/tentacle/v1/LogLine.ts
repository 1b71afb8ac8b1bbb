// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { Long } from '@grpc/proto-loader';

export interface LogLine {
  /**
   * "stdout", "stderr" or "agent".
   */
  'stream'?: (string);
  'atMs'?: (number | string | Long);
  'text'?: (string);
}

export interface LogLine__Output {
  /**
   * "stdout", "stderr" or "agent".
   */
  'stream': (string);
  'atMs': (number);
  'text': (string);
}

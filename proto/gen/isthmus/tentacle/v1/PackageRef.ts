// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { Long } from '@grpc/proto-loader';

export interface PackageRef {
  'id'?: (string);
  'version'?: (string);
  'sha256'?: (string);
  'sizeBytes'?: (number | string | Long);
  /**
   * "tar.gz", "zip" or "nupkg".
   */
  'format'?: (string);
}

export interface PackageRef__Output {
  'id': (string);
  'version': (string);
  'sha256': (string);
  'sizeBytes': (number);
  /**
   * "tar.gz", "zip" or "nupkg".
   */
  'format': (string);
}

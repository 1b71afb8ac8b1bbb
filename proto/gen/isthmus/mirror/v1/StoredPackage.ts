// Original file: proto/isthmus/mirror/v1/mirror.proto

import type { Long } from '@grpc/proto-loader';

export interface StoredPackage {
  'sha256'?: (string);
  'sizeBytes'?: (number | string | Long);
  'usedAtMs'?: (number | string | Long);
}

export interface StoredPackage__Output {
  'sha256': (string);
  'sizeBytes': (number);
  'usedAtMs': (number);
}

// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { Long } from '@grpc/proto-loader';

export interface PackageStatus {
  'application'?: (string);
  'releasePath'?: (string);
  'previousVersion'?: (string);
  'currentVersion'?: (string);
  'files'?: (number);
  'bytes'?: (number | string | Long);
}

export interface PackageStatus__Output {
  'application': (string);
  'releasePath': (string);
  'previousVersion': (string);
  'currentVersion': (string);
  'files': (number);
  'bytes': (number);
}

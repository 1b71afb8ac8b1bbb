// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { Installation as _isthmus_tentacle_v1_Installation, Installation__Output as _isthmus_tentacle_v1_Installation__Output } from '../../../isthmus/tentacle/v1/Installation.ts';
import type { Long } from '@grpc/proto-loader';

export interface PackageStatus {
  'installation'?: (_isthmus_tentacle_v1_Installation | null);
  'releasePath'?: (string);
  'previousVersion'?: (string);
  'currentVersion'?: (string);
  'files'?: (number);
  'bytes'?: (number | string | Long);
}

export interface PackageStatus__Output {
  'installation': (_isthmus_tentacle_v1_Installation__Output | null);
  'releasePath': (string);
  'previousVersion': (string);
  'currentVersion': (string);
  'files': (number);
  'bytes': (number);
}

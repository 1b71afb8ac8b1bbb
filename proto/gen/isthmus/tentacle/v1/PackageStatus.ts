// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { Installation as _isthmus_tentacle_v1_Installation, Installation__Output as _isthmus_tentacle_v1_Installation__Output } from '../../../isthmus/tentacle/v1/Installation.ts';
import type { PackageWarning as _isthmus_tentacle_v1_PackageWarning, PackageWarning__Output as _isthmus_tentacle_v1_PackageWarning__Output } from '../../../isthmus/tentacle/v1/PackageWarning.ts';
import type { Long } from '@grpc/proto-loader';

export interface PackageStatus {
  'installation'?: (_isthmus_tentacle_v1_Installation | null);
  'releasePath'?: (string);
  'previousVersion'?: (string);
  'currentVersion'?: (string);
  'files'?: (number);
  'bytes'?: (number | string | Long);
  /**
   * What was noticed while the release was staged: at most 100, then how many more.
   */
  'warnings'?: (_isthmus_tentacle_v1_PackageWarning)[];
  'warningsLeftOut'?: (number);
  /**
   * Where the step installed to before, when it does not any more: what was installed there stays.
   */
  'leftFolder'?: (string);
}

export interface PackageStatus__Output {
  'installation': (_isthmus_tentacle_v1_Installation__Output | null);
  'releasePath': (string);
  'previousVersion': (string);
  'currentVersion': (string);
  'files': (number);
  'bytes': (number);
  /**
   * What was noticed while the release was staged: at most 100, then how many more.
   */
  'warnings': (_isthmus_tentacle_v1_PackageWarning__Output)[];
  'warningsLeftOut': (number);
  /**
   * Where the step installed to before, when it does not any more: what was installed there stays.
   */
  'leftFolder': (string);
}

// Original file: proto/isthmus/mirror/v1/mirror.proto

import type { DamagedPackage as _isthmus_mirror_v1_DamagedPackage, DamagedPackage__Output as _isthmus_mirror_v1_DamagedPackage__Output } from '../../../isthmus/mirror/v1/DamagedPackage.ts';

export interface VerifyResponse {
  'checked'?: (number);
  'damaged'?: (_isthmus_mirror_v1_DamagedPackage)[];
}

export interface VerifyResponse__Output {
  'checked': (number);
  'damaged': (_isthmus_mirror_v1_DamagedPackage__Output)[];
}

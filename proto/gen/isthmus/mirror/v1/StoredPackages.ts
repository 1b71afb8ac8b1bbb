// Original file: proto/isthmus/mirror/v1/mirror.proto

import type { StoredPackage as _isthmus_mirror_v1_StoredPackage, StoredPackage__Output as _isthmus_mirror_v1_StoredPackage__Output } from '../../../isthmus/mirror/v1/StoredPackage.ts';

export interface StoredPackages {
  /**
   * In the order of their digests.
   */
  'packages'?: (_isthmus_mirror_v1_StoredPackage)[];
  /**
   * There are more.
   */
  'more'?: (boolean);
}

export interface StoredPackages__Output {
  /**
   * In the order of their digests.
   */
  'packages': (_isthmus_mirror_v1_StoredPackage__Output)[];
  /**
   * There are more.
   */
  'more': (boolean);
}

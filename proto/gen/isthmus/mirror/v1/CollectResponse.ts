// Original file: proto/isthmus/mirror/v1/mirror.proto

import type { Removed as _isthmus_mirror_v1_Removed, Removed__Output as _isthmus_mirror_v1_Removed__Output } from '../../../isthmus/mirror/v1/Removed.ts';

export interface CollectResponse {
  'removed'?: (_isthmus_mirror_v1_Removed)[];
}

export interface CollectResponse__Output {
  'removed': (_isthmus_mirror_v1_Removed__Output)[];
}

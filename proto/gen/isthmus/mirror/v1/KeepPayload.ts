// Original file: proto/isthmus/mirror/v1/mirror.proto

import type { Lease as _isthmus_mirror_v1_Lease, Lease__Output as _isthmus_mirror_v1_Lease__Output } from '../../../isthmus/mirror/v1/Lease.ts';

/**
 * The payload of an envelope of kind "keep".
 */
export interface KeepPayload {
  /**
   * SHA-256 in hex, the most important first. They stay until the next order, and make room, the last first, only for
   * what somebody waits for.
   */
  'pins'?: (string)[];
  'leases'?: (_isthmus_mirror_v1_Lease)[];
}

/**
 * The payload of an envelope of kind "keep".
 */
export interface KeepPayload__Output {
  /**
   * SHA-256 in hex, the most important first. They stay until the next order, and make room, the last first, only for
   * what somebody waits for.
   */
  'pins': (string)[];
  'leases': (_isthmus_mirror_v1_Lease__Output)[];
}

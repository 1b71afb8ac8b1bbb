// Original file: proto/isthmus/mirror/v1/mirror.proto

import type { CacheCounters as _isthmus_mirror_v1_CacheCounters, CacheCounters__Output as _isthmus_mirror_v1_CacheCounters__Output } from '../../../isthmus/mirror/v1/CacheCounters.ts';
import type { Long } from '@grpc/proto-loader';

export interface MirrorStatus {
  'softwareVersion'?: (string);
  /**
   * The most bytes that the cache may use; 0 for no limit.
   */
  'quotaBytes'?: (number | string | Long);
  /**
   * Free bytes that must remain on the disk.
   */
  'minFreeBytes'?: (number | string | Long);
  'freeBytes'?: (number | string | Long);
  /**
   * Whole packages, and their bytes.
   */
  'packages'?: (number);
  'packageBytes'?: (number | string | Long);
  /**
   * Bytes of interrupted and running fetches.
   */
  'partialBytes'?: (number | string | Long);
  /**
   * Packages that are being fetched.
   */
  'fetching'?: (number);
  /**
   * The last package had no room although all was evicted that may be.
   */
  'full'?: (boolean);
  /**
   * Packages that are not evicted: as the server says, and as open deployments need.
   */
  'pinned'?: (number);
  'leased'?: (number);
  'counters'?: (_isthmus_mirror_v1_CacheCounters | null);
}

export interface MirrorStatus__Output {
  'softwareVersion': (string);
  /**
   * The most bytes that the cache may use; 0 for no limit.
   */
  'quotaBytes': (number);
  /**
   * Free bytes that must remain on the disk.
   */
  'minFreeBytes': (number);
  'freeBytes': (number);
  /**
   * Whole packages, and their bytes.
   */
  'packages': (number);
  'packageBytes': (number);
  /**
   * Bytes of interrupted and running fetches.
   */
  'partialBytes': (number);
  /**
   * Packages that are being fetched.
   */
  'fetching': (number);
  /**
   * The last package had no room although all was evicted that may be.
   */
  'full': (boolean);
  /**
   * Packages that are not evicted: as the server says, and as open deployments need.
   */
  'pinned': (number);
  'leased': (number);
  'counters': (_isthmus_mirror_v1_CacheCounters__Output | null);
}

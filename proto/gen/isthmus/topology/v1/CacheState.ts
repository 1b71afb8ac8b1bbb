// Original file: proto/isthmus/topology/v1/topology.proto

import type { Long } from '@grpc/proto-loader';

/**
 * How the cache of a mirror is.
 */
export interface CacheState {
  /**
   * The last package had no room although all was evicted that may be.
   */
  'full'?: (boolean);
  /**
   * Packages that were found to be changed on the disk, since the mirror joined.
   */
  'damaged'?: (number | string | Long);
}

/**
 * How the cache of a mirror is.
 */
export interface CacheState__Output {
  /**
   * The last package had no room although all was evicted that may be.
   */
  'full': (boolean);
  /**
   * Packages that were found to be changed on the disk, since the mirror joined.
   */
  'damaged': (number);
}

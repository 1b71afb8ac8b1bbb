// Original file: proto/isthmus/mirror/v1/mirror.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Since the mirror joined; kept over restarts.
 */
export interface CacheCounters {
  /**
   * Requests that were answered from the disk, that started a fetch, and that followed the fetch of another one.
   */
  'hits'?: (number | string | Long);
  'fetches'?: (number | string | Long);
  'sharedFetches'?: (number | string | Long);
  /**
   * Fetches that had no room in the cache.
   */
  'uncached'?: (number | string | Long);
  /**
   * From sources, and to requesters.
   */
  'bytesIn'?: (number | string | Long);
  'bytesOut'?: (number | string | Long);
  /**
   * Answers of which a first byte was read, and how long those took in all.
   */
  'firstBytes'?: (number | string | Long);
  'firstByteMs'?: (number | string);
  'evictedForQuota'?: (number | string | Long);
  'evictedForFreeSpace'?: (number | string | Long);
  /**
   * The disk was full although the marks said otherwise.
   */
  'evictedForWrite'?: (number | string | Long);
  'evictedOnRequest'?: (number | string | Long);
  'damaged'?: (number | string | Long);
  'repaired'?: (number | string | Long);
}

/**
 * Since the mirror joined; kept over restarts.
 */
export interface CacheCounters__Output {
  /**
   * Requests that were answered from the disk, that started a fetch, and that followed the fetch of another one.
   */
  'hits': (number);
  'fetches': (number);
  'sharedFetches': (number);
  /**
   * Fetches that had no room in the cache.
   */
  'uncached': (number);
  /**
   * From sources, and to requesters.
   */
  'bytesIn': (number);
  'bytesOut': (number);
  /**
   * Answers of which a first byte was read, and how long those took in all.
   */
  'firstBytes': (number);
  'firstByteMs': (number);
  'evictedForQuota': (number);
  'evictedForFreeSpace': (number);
  /**
   * The disk was full although the marks said otherwise.
   */
  'evictedForWrite': (number);
  'evictedOnRequest': (number);
  'damaged': (number);
  'repaired': (number);
}

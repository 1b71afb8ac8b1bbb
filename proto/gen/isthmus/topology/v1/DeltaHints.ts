// Original file: proto/isthmus/topology/v1/topology.proto

import type { GzipRecipe as _isthmus_topology_v1_GzipRecipe, GzipRecipe__Output as _isthmus_topology_v1_GzipRecipe__Output } from '../../../isthmus/topology/v1/GzipRecipe.ts';
import type { DeltaBase as _isthmus_topology_v1_DeltaBase, DeltaBase__Output as _isthmus_topology_v1_DeltaBase__Output } from '../../../isthmus/topology/v1/DeltaBase.ts';
import type { Long } from '@grpc/proto-loader';

/**
 * What a node has to know for a delta. A delta of a tar.gz leads to the tar inside.
 */
export interface DeltaHints {
  /**
   * The tar inside a tar.gz; empty for other formats, of which the file itself is meant.
   */
  'tarSha256'?: (string);
  'tarBytes'?: (number | string | Long);
  /**
   * How the gzip is made again of the tar, where that is known.
   */
  'recipe'?: (_isthmus_topology_v1_GzipRecipe | null);
  /**
   * Versions from which a delta may lead here, newest first.
   */
  'bases'?: (_isthmus_topology_v1_DeltaBase)[];
}

/**
 * What a node has to know for a delta. A delta of a tar.gz leads to the tar inside.
 */
export interface DeltaHints__Output {
  /**
   * The tar inside a tar.gz; empty for other formats, of which the file itself is meant.
   */
  'tarSha256': (string);
  'tarBytes': (number);
  /**
   * How the gzip is made again of the tar, where that is known.
   */
  'recipe': (_isthmus_topology_v1_GzipRecipe__Output | null);
  /**
   * Versions from which a delta may lead here, newest first.
   */
  'bases': (_isthmus_topology_v1_DeltaBase__Output)[];
}

// Original file: proto/isthmus/topology/v1/topology.proto

import type { PackageSource as _isthmus_topology_v1_PackageSource, PackageSource__Output as _isthmus_topology_v1_PackageSource__Output } from '../../../isthmus/topology/v1/PackageSource.ts';
import type { DeltaHints as _isthmus_topology_v1_DeltaHints, DeltaHints__Output as _isthmus_topology_v1_DeltaHints__Output } from '../../../isthmus/topology/v1/DeltaHints.ts';

export interface FindSourcesResponse {
  'sources'?: (_isthmus_topology_v1_PackageSource)[];
  /**
   * A download token for this digest, bound to the requester and its site.
   */
  'downloadToken'?: (string);
  /**
   * What a delta needs, where one can be made.
   */
  'delta'?: (_isthmus_topology_v1_DeltaHints | null);
}

export interface FindSourcesResponse__Output {
  'sources': (_isthmus_topology_v1_PackageSource__Output)[];
  /**
   * A download token for this digest, bound to the requester and its site.
   */
  'downloadToken': (string);
  /**
   * What a delta needs, where one can be made.
   */
  'delta': (_isthmus_topology_v1_DeltaHints__Output | null);
}

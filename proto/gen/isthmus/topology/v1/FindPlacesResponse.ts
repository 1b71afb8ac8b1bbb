// Original file: proto/isthmus/topology/v1/topology.proto

import type { Place as _isthmus_topology_v1_Place, Place__Output as _isthmus_topology_v1_Place__Output } from '../../../isthmus/topology/v1/Place.ts';

export interface FindPlacesResponse {
  'places'?: (_isthmus_topology_v1_Place)[];
  /**
   * A pass for this digest, bound to the asking node's site.
   */
  'pass'?: (string);
}

export interface FindPlacesResponse__Output {
  'places': (_isthmus_topology_v1_Place__Output)[];
  /**
   * A pass for this digest, bound to the asking node's site.
   */
  'pass': (string);
}

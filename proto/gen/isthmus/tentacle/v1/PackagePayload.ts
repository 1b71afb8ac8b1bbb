// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { PackageRef as _isthmus_tentacle_v1_PackageRef, PackageRef__Output as _isthmus_tentacle_v1_PackageRef__Output } from '../../../isthmus/tentacle/v1/PackageRef.ts';
import type { Place as _isthmus_topology_v1_Place, Place__Output as _isthmus_topology_v1_Place__Output } from '../../../isthmus/topology/v1/Place.ts';

export interface PackagePayload {
  'package'?: (_isthmus_tentacle_v1_PackageRef | null);
  /**
   * Names the folder below the tentacle's applications folder that holds this package's releases; a slug.
   */
  'application'?: (string);
  /**
   * Places to fetch from, nearest first, and the pass that allows it (acquire only).
   */
  'places'?: (_isthmus_topology_v1_Place)[];
  'pass'?: (string);
  /**
   * Files below the package root in which #{Name} is substituted, glob patterns (stage only).
   */
  'substituteIn'?: (string)[];
  'variables'?: ({[key: string]: string});
  'sensitiveNames'?: (string)[];
}

export interface PackagePayload__Output {
  'package': (_isthmus_tentacle_v1_PackageRef__Output | null);
  /**
   * Names the folder below the tentacle's applications folder that holds this package's releases; a slug.
   */
  'application': (string);
  /**
   * Places to fetch from, nearest first, and the pass that allows it (acquire only).
   */
  'places': (_isthmus_topology_v1_Place__Output)[];
  'pass': (string);
  /**
   * Files below the package root in which #{Name} is substituted, glob patterns (stage only).
   */
  'substituteIn': (string)[];
  'variables': ({[key: string]: string});
  'sensitiveNames': (string)[];
}

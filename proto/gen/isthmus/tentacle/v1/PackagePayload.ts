// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { PackageRef as _isthmus_tentacle_v1_PackageRef, PackageRef__Output as _isthmus_tentacle_v1_PackageRef__Output } from '../../../isthmus/tentacle/v1/PackageRef.ts';
import type { Installation as _isthmus_tentacle_v1_Installation, Installation__Output as _isthmus_tentacle_v1_Installation__Output } from '../../../isthmus/tentacle/v1/Installation.ts';
import type { PackageSource as _isthmus_topology_v1_PackageSource, PackageSource__Output as _isthmus_topology_v1_PackageSource__Output } from '../../../isthmus/topology/v1/PackageSource.ts';
import type { SubstitutionRule as _isthmus_tentacle_v1_SubstitutionRule, SubstitutionRule__Output as _isthmus_tentacle_v1_SubstitutionRule__Output } from '../../../isthmus/tentacle/v1/SubstitutionRule.ts';
import type { DeltaHints as _isthmus_topology_v1_DeltaHints, DeltaHints__Output as _isthmus_topology_v1_DeltaHints__Output } from '../../../isthmus/topology/v1/DeltaHints.ts';
import type { Long } from '@grpc/proto-loader';

export interface PackagePayload {
  'package'?: (_isthmus_tentacle_v1_PackageRef | null);
  /**
   * Names the folder that holds the releases. Each release belongs to the task that staged it.
   */
  'installation'?: (_isthmus_tentacle_v1_Installation | null);
  /**
   * The sources to fetch from, nearest first, and the token that allows it (acquire only).
   */
  'sources'?: (_isthmus_topology_v1_PackageSource)[];
  'downloadToken'?: (string);
  /**
   * Files in which #{Name} is substituted; of several that match a file the first counts (stage only).
   */
  'substitute'?: (_isthmus_tentacle_v1_SubstitutionRule)[];
  'variables'?: ({[key: string]: string});
  'sensitiveNames'?: (string)[];
  /**
   * Names of accounts for the files, and their permissions; empty or 0: as they are (stage only).
   */
  'owner'?: (string);
  'group'?: (string);
  'fileMode'?: (number);
  'folderMode'?: (number);
  /**
   * The folder that gets a copy of the release; empty: none (activate only).
   */
  'installTo'?: (string);
  /**
   * The step has not succeeded (settle only).
   */
  'revert'?: (boolean);
  /**
   * What the release pins of the unpacked package: the bytes of its files, and its entries; 0: not known.
   */
  'unpackedBytes'?: (number | string | Long);
  'entries'?: (number);
  /**
   * The name of a package that is placed, not unpacked: its format is "file".
   */
  'fileName'?: (string);
  /**
   * What a delta needs, where one can be made (acquire only).
   */
  'delta'?: (_isthmus_topology_v1_DeltaHints | null);
}

export interface PackagePayload__Output {
  'package': (_isthmus_tentacle_v1_PackageRef__Output | null);
  /**
   * Names the folder that holds the releases. Each release belongs to the task that staged it.
   */
  'installation': (_isthmus_tentacle_v1_Installation__Output | null);
  /**
   * The sources to fetch from, nearest first, and the token that allows it (acquire only).
   */
  'sources': (_isthmus_topology_v1_PackageSource__Output)[];
  'downloadToken': (string);
  /**
   * Files in which #{Name} is substituted; of several that match a file the first counts (stage only).
   */
  'substitute': (_isthmus_tentacle_v1_SubstitutionRule__Output)[];
  'variables': ({[key: string]: string});
  'sensitiveNames': (string)[];
  /**
   * Names of accounts for the files, and their permissions; empty or 0: as they are (stage only).
   */
  'owner': (string);
  'group': (string);
  'fileMode': (number);
  'folderMode': (number);
  /**
   * The folder that gets a copy of the release; empty: none (activate only).
   */
  'installTo': (string);
  /**
   * The step has not succeeded (settle only).
   */
  'revert': (boolean);
  /**
   * What the release pins of the unpacked package: the bytes of its files, and its entries; 0: not known.
   */
  'unpackedBytes': (number);
  'entries': (number);
  /**
   * The name of a package that is placed, not unpacked: its format is "file".
   */
  'fileName': (string);
  /**
   * What a delta needs, where one can be made (acquire only).
   */
  'delta': (_isthmus_topology_v1_DeltaHints__Output | null);
}

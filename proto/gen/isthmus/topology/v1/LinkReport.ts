// Original file: proto/isthmus/topology/v1/topology.proto

import type { Long } from '@grpc/proto-loader';

export interface LinkReport {
  'peer'?: (string);
  'peerRole'?: (string);
  /**
   * "parent" or "child": what the peer is to the reporter.
   */
  'relation'?: (string);
  'up'?: (boolean);
  'roundTripMs'?: (number | string);
  'bytesIn'?: (number | string | Long);
  'bytesOut'?: (number | string | Long);
  'upSinceMs'?: (number | string | Long);
  'tunnels'?: (number);
  'lastErrorCode'?: (string);
  /**
   * Which side dials: "us" or "peer".
   */
  'dialledBy'?: (string);
  'address'?: (string);
}

export interface LinkReport__Output {
  'peer': (string);
  'peerRole': (string);
  /**
   * "parent" or "child": what the peer is to the reporter.
   */
  'relation': (string);
  'up': (boolean);
  'roundTripMs': (number);
  'bytesIn': (number);
  'bytesOut': (number);
  'upSinceMs': (number);
  'tunnels': (number);
  'lastErrorCode': (string);
  /**
   * Which side dials: "us" or "peer".
   */
  'dialledBy': (string);
  'address': (string);
}

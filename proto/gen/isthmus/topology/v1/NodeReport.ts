// Original file: proto/isthmus/topology/v1/topology.proto

import type { LinkReport as _isthmus_topology_v1_LinkReport, LinkReport__Output as _isthmus_topology_v1_LinkReport__Output } from '../../../isthmus/topology/v1/LinkReport.ts';
import type { Refusal as _isthmus_topology_v1_Refusal, Refusal__Output as _isthmus_topology_v1_Refusal__Output } from '../../../isthmus/topology/v1/Refusal.ts';
import type { Long } from '@grpc/proto-loader';

export interface NodeReport {
  'softwareVersion'?: (string);
  'links'?: (_isthmus_topology_v1_LinkReport)[];
  'memoryRssBytes'?: (number | string | Long);
  'cpuShare'?: (number | string);
  'diskFreeBytes'?: (number | string | Long);
  'certificateNotAfterMs'?: (number | string | Long);
  /**
   * Mirrors only: where targets of the site reach it without a tunnel; empty when it has no open port.
   */
  'feedUrl'?: (string);
  'cachedBytes'?: (number | string | Long);
  /**
   * Relays only: where children reach this node's port, host:port; empty when it has none, or its parent dials it.
   */
  'meshAddress'?: (string);
  /**
   * The latest things this node refused, oldest first; each is in several reports.
   */
  'refusals'?: (_isthmus_topology_v1_Refusal)[];
}

export interface NodeReport__Output {
  'softwareVersion': (string);
  'links': (_isthmus_topology_v1_LinkReport__Output)[];
  'memoryRssBytes': (number);
  'cpuShare': (number);
  'diskFreeBytes': (number);
  'certificateNotAfterMs': (number);
  /**
   * Mirrors only: where targets of the site reach it without a tunnel; empty when it has no open port.
   */
  'feedUrl': (string);
  'cachedBytes': (number);
  /**
   * Relays only: where children reach this node's port, host:port; empty when it has none, or its parent dials it.
   */
  'meshAddress': (string);
  /**
   * The latest things this node refused, oldest first; each is in several reports.
   */
  'refusals': (_isthmus_topology_v1_Refusal__Output)[];
}

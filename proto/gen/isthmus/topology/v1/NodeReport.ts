// Original file: proto/isthmus/topology/v1/topology.proto

import type { LinkReport as _isthmus_topology_v1_LinkReport, LinkReport__Output as _isthmus_topology_v1_LinkReport__Output } from '../../../isthmus/topology/v1/LinkReport.ts';
import type { Refusal as _isthmus_topology_v1_Refusal, Refusal__Output as _isthmus_topology_v1_Refusal__Output } from '../../../isthmus/topology/v1/Refusal.ts';
import type { NodeParent as _isthmus_topology_v1_NodeParent, NodeParent__Output as _isthmus_topology_v1_NodeParent__Output } from '../../../isthmus/topology/v1/NodeParent.ts';
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
  /**
   * Those in this node's settings, in order of preference; a node that cannot be given others says none.
   */
  'parents'?: (_isthmus_topology_v1_NodeParent)[];
  /**
   * Why the parents of the latest Assignment are not taken yet, a code; empty when they are, or may be soon.
   */
  'parentsErrorCode'?: (string);
  /**
   * Whether this node has a port at which a parent could dial it.
   */
  'listens'?: (boolean);
  /**
   * That of the Assignment whose parents are those above; 0 when none was.
   */
  'parentsVersion'?: (number | string | Long);
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
  /**
   * Those in this node's settings, in order of preference; a node that cannot be given others says none.
   */
  'parents': (_isthmus_topology_v1_NodeParent__Output)[];
  /**
   * Why the parents of the latest Assignment are not taken yet, a code; empty when they are, or may be soon.
   */
  'parentsErrorCode': (string);
  /**
   * Whether this node has a port at which a parent could dial it.
   */
  'listens': (boolean);
  /**
   * That of the Assignment whose parents are those above; 0 when none was.
   */
  'parentsVersion': (number);
}

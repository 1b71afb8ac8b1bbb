// Original file: proto/isthmus/topology/v1/topology.proto

import type { LinkReport as _isthmus_topology_v1_LinkReport, LinkReport__Output as _isthmus_topology_v1_LinkReport__Output } from '../../../isthmus/topology/v1/LinkReport.ts';
import type { Denial as _isthmus_topology_v1_Denial, Denial__Output as _isthmus_topology_v1_Denial__Output } from '../../../isthmus/topology/v1/Denial.ts';
import type { NodeParent as _isthmus_topology_v1_NodeParent, NodeParent__Output as _isthmus_topology_v1_NodeParent__Output } from '../../../isthmus/topology/v1/NodeParent.ts';
import type { HealthReport as _isthmus_health_v1_HealthReport, HealthReport__Output as _isthmus_health_v1_HealthReport__Output } from '../../../isthmus/health/v1/HealthReport.ts';
import type { AbandonedSource as _isthmus_topology_v1_AbandonedSource, AbandonedSource__Output as _isthmus_topology_v1_AbandonedSource__Output } from '../../../isthmus/topology/v1/AbandonedSource.ts';
import type { SourceState as _isthmus_topology_v1_SourceState, SourceState__Output as _isthmus_topology_v1_SourceState__Output } from '../../../isthmus/topology/v1/SourceState.ts';
import type { CacheState as _isthmus_topology_v1_CacheState, CacheState__Output as _isthmus_topology_v1_CacheState__Output } from '../../../isthmus/topology/v1/CacheState.ts';
import type { Long } from '@grpc/proto-loader';

export interface NodeReport {
  'softwareVersion'?: (string);
  'links'?: (_isthmus_topology_v1_LinkReport)[];
  'memoryRssBytes'?: (number | string | Long);
  'cpuShare'?: (number | string);
  'diskFreeBytes'?: (number | string | Long);
  'certificateNotAfterMs'?: (number | string | Long);
  /**
   * Mirrors only: the URL at which targets of the site reach it without a tunnel; empty without an open port.
   */
  'feedUrl'?: (string);
  'cachedBytes'?: (number | string | Long);
  /**
   * Relays only: host:port at which children reach this node; empty when it does not listen or its parent dials it.
   */
  'meshAddress'?: (string);
  /**
   * The latest denials of this node, oldest first. Each is in several reports.
   */
  'denials'?: (_isthmus_topology_v1_Denial)[];
  /**
   * The parents that this node has applied, in order of preference.
   */
  'parents'?: (_isthmus_topology_v1_NodeParent)[];
  /**
   * The error code that keeps the desired parents from being applied; empty when they are applied, or nothing failed
   * yet.
   */
  'parentsErrorCode'?: (string);
  /**
   * Whether this node has a port at which a parent could dial it.
   */
  'listens'?: (boolean);
  /**
   * The version of the Assignment whose parents are applied; 0 when none was.
   */
  'parentsVersion'?: (number | string | Long);
  /**
   * Tentacles only, and not in every report.
   */
  'health'?: (_isthmus_health_v1_HealthReport | null);
  /**
   * The latest sources of packages that this node left because they were too slow, oldest first. Each is in several
   * reports.
   */
  'abandonedSources'?: (_isthmus_topology_v1_AbandonedSource)[];
  /**
   * Of a node that fetches packages: the sources that it has measured, and those that go last.
   */
  'sourceStates'?: (_isthmus_topology_v1_SourceState)[];
  /**
   * The addresses of its host, without those that only the host itself has.
   */
  'addresses'?: (string)[];
  /**
   * Mirrors only.
   */
  'cache'?: (_isthmus_topology_v1_CacheState | null);
}

export interface NodeReport__Output {
  'softwareVersion': (string);
  'links': (_isthmus_topology_v1_LinkReport__Output)[];
  'memoryRssBytes': (number);
  'cpuShare': (number);
  'diskFreeBytes': (number);
  'certificateNotAfterMs': (number);
  /**
   * Mirrors only: the URL at which targets of the site reach it without a tunnel; empty without an open port.
   */
  'feedUrl': (string);
  'cachedBytes': (number);
  /**
   * Relays only: host:port at which children reach this node; empty when it does not listen or its parent dials it.
   */
  'meshAddress': (string);
  /**
   * The latest denials of this node, oldest first. Each is in several reports.
   */
  'denials': (_isthmus_topology_v1_Denial__Output)[];
  /**
   * The parents that this node has applied, in order of preference.
   */
  'parents': (_isthmus_topology_v1_NodeParent__Output)[];
  /**
   * The error code that keeps the desired parents from being applied; empty when they are applied, or nothing failed
   * yet.
   */
  'parentsErrorCode': (string);
  /**
   * Whether this node has a port at which a parent could dial it.
   */
  'listens': (boolean);
  /**
   * The version of the Assignment whose parents are applied; 0 when none was.
   */
  'parentsVersion': (number);
  /**
   * Tentacles only, and not in every report.
   */
  'health': (_isthmus_health_v1_HealthReport__Output | null);
  /**
   * The latest sources of packages that this node left because they were too slow, oldest first. Each is in several
   * reports.
   */
  'abandonedSources': (_isthmus_topology_v1_AbandonedSource__Output)[];
  /**
   * Of a node that fetches packages: the sources that it has measured, and those that go last.
   */
  'sourceStates': (_isthmus_topology_v1_SourceState__Output)[];
  /**
   * The addresses of its host, without those that only the host itself has.
   */
  'addresses': (string)[];
  /**
   * Mirrors only.
   */
  'cache': (_isthmus_topology_v1_CacheState__Output | null);
}

// Original file: proto/isthmus/mesh/v1/link.proto

import type { NodeStart as _isthmus_mesh_v1_NodeStart, NodeStart__Output as _isthmus_mesh_v1_NodeStart__Output } from '../../../isthmus/mesh/v1/NodeStart.ts';

/**
 * The first message of the endpoint that opened an end-to-end session, preceded by its length in four bytes.
 * TunnelOpened comes back likewise.
 */
export interface SessionHello {
  /**
   * Told to servers only.
   */
  'start'?: (_isthmus_mesh_v1_NodeStart | null);
}

/**
 * The first message of the endpoint that opened an end-to-end session, preceded by its length in four bytes.
 * TunnelOpened comes back likewise.
 */
export interface SessionHello__Output {
  /**
   * Told to servers only.
   */
  'start': (_isthmus_mesh_v1_NodeStart__Output | null);
}

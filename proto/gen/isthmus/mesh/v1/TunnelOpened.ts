// Original file: proto/isthmus/mesh/v1/link.proto

import type { TunnelError as _isthmus_mesh_v1_TunnelError, TunnelError__Output as _isthmus_mesh_v1_TunnelError__Output } from '../../../isthmus/mesh/v1/TunnelError.ts';
import type { NodeStart as _isthmus_mesh_v1_NodeStart, NodeStart__Output as _isthmus_mesh_v1_NodeStart__Output } from '../../../isthmus/mesh/v1/NodeStart.ts';

export interface TunnelOpened {
  /**
   * Set when the tunnel was denied: by which hop, and why.
   */
  'error'?: (_isthmus_mesh_v1_TunnelError | null);
  /**
   * In an end-to-end session that a server opened.
   */
  'start'?: (_isthmus_mesh_v1_NodeStart | null);
}

export interface TunnelOpened__Output {
  /**
   * Set when the tunnel was denied: by which hop, and why.
   */
  'error': (_isthmus_mesh_v1_TunnelError__Output | null);
  /**
   * In an end-to-end session that a server opened.
   */
  'start': (_isthmus_mesh_v1_NodeStart__Output | null);
}

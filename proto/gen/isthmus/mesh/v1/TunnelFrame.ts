// Original file: proto/isthmus/mesh/v1/link.proto

import type { OpenTunnel as _isthmus_mesh_v1_OpenTunnel, OpenTunnel__Output as _isthmus_mesh_v1_OpenTunnel__Output } from '../../../isthmus/mesh/v1/OpenTunnel.ts';
import type { TunnelOpened as _isthmus_mesh_v1_TunnelOpened, TunnelOpened__Output as _isthmus_mesh_v1_TunnelOpened__Output } from '../../../isthmus/mesh/v1/TunnelOpened.ts';

export interface TunnelFrame {
  'open'?: (_isthmus_mesh_v1_OpenTunnel | null);
  /**
   * The connector's answer to an OpenTunnel on Attach.
   */
  'answerTunnelId'?: (Buffer | Uint8Array | string);
  'opened'?: (_isthmus_mesh_v1_TunnelOpened | null);
  'data'?: (Buffer | Uint8Array | string);
  'frame'?: "open"|"answerTunnelId"|"opened"|"data";
}

export interface TunnelFrame__Output {
  'open'?: (_isthmus_mesh_v1_OpenTunnel__Output | null);
  /**
   * The connector's answer to an OpenTunnel on Attach.
   */
  'answerTunnelId'?: (Buffer);
  'opened'?: (_isthmus_mesh_v1_TunnelOpened__Output | null);
  'data'?: (Buffer);
  'frame'?: "open"|"answerTunnelId"|"opened"|"data";
}

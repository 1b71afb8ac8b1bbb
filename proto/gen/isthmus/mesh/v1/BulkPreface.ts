// Original file: proto/isthmus/mesh/v1/link.proto

import type { OpenTunnel as _isthmus_mesh_v1_OpenTunnel, OpenTunnel__Output as _isthmus_mesh_v1_OpenTunnel__Output } from '../../../isthmus/mesh/v1/OpenTunnel.ts';

/**
 * The first message on a bulk or enrol connection, preceded by its length in four bytes. TunnelOpened comes back
 * likewise.
 */
export interface BulkPreface {
  'sessionId'?: (Buffer | Uint8Array | string);
  'open'?: (_isthmus_mesh_v1_OpenTunnel | null);
  'answerTunnelId'?: (Buffer | Uint8Array | string);
  'request'?: "open"|"answerTunnelId";
}

/**
 * The first message on a bulk or enrol connection, preceded by its length in four bytes. TunnelOpened comes back
 * likewise.
 */
export interface BulkPreface__Output {
  'sessionId': (Buffer);
  'open'?: (_isthmus_mesh_v1_OpenTunnel__Output | null);
  'answerTunnelId'?: (Buffer);
  'request'?: "open"|"answerTunnelId";
}

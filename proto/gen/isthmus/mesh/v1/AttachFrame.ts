// Original file: proto/isthmus/mesh/v1/link.proto

import type { Hello as _isthmus_mesh_v1_Hello, Hello__Output as _isthmus_mesh_v1_Hello__Output } from '../../../isthmus/mesh/v1/Hello.ts';
import type { Ping as _isthmus_mesh_v1_Ping, Ping__Output as _isthmus_mesh_v1_Ping__Output } from '../../../isthmus/mesh/v1/Ping.ts';
import type { Pong as _isthmus_mesh_v1_Pong, Pong__Output as _isthmus_mesh_v1_Pong__Output } from '../../../isthmus/mesh/v1/Pong.ts';
import type { OpenTunnel as _isthmus_mesh_v1_OpenTunnel, OpenTunnel__Output as _isthmus_mesh_v1_OpenTunnel__Output } from '../../../isthmus/mesh/v1/OpenTunnel.ts';
import type { Goodbye as _isthmus_mesh_v1_Goodbye, Goodbye__Output as _isthmus_mesh_v1_Goodbye__Output } from '../../../isthmus/mesh/v1/Goodbye.ts';
import type { RevocationList as _isthmus_mesh_v1_RevocationList, RevocationList__Output as _isthmus_mesh_v1_RevocationList__Output } from '../../../isthmus/mesh/v1/RevocationList.ts';
import type { BulkAcks as _isthmus_mesh_v1_BulkAcks, BulkAcks__Output as _isthmus_mesh_v1_BulkAcks__Output } from '../../../isthmus/mesh/v1/BulkAcks.ts';
import type { CloseTunnel as _isthmus_mesh_v1_CloseTunnel, CloseTunnel__Output as _isthmus_mesh_v1_CloseTunnel__Output } from '../../../isthmus/mesh/v1/CloseTunnel.ts';
import type { Credential as _isthmus_mesh_v1_Credential, Credential__Output as _isthmus_mesh_v1_Credential__Output } from '../../../isthmus/mesh/v1/Credential.ts';

export interface AttachFrame {
  'hello'?: (_isthmus_mesh_v1_Hello | null);
  'ping'?: (_isthmus_mesh_v1_Ping | null);
  'pong'?: (_isthmus_mesh_v1_Pong | null);
  /**
   * Listener to connector: call Tunnel, or open a bulk connection, with this id.
   */
  'open'?: (_isthmus_mesh_v1_OpenTunnel | null);
  'goodbye'?: (_isthmus_mesh_v1_Goodbye | null);
  /**
   * The signed revocation list, passed from neighbour to neighbour; the newer one is sent before anything else.
   */
  'revocations'?: (_isthmus_mesh_v1_RevocationList | null);
  /**
   * Bytes of bulk connections that the receiver has taken off the wire.
   */
  'bulkAcks'?: (_isthmus_mesh_v1_BulkAcks | null);
  /**
   * Either side: this control tunnel is closed, whatever its stream still buffers.
   */
  'close'?: (_isthmus_mesh_v1_CloseTunnel | null);
  /**
   * Either side: the certificate that it has used since it was renewed in this session.
   */
  'credential'?: (_isthmus_mesh_v1_Credential | null);
  'frame'?: "hello"|"ping"|"pong"|"open"|"goodbye"|"revocations"|"bulkAcks"|"close"|"credential";
}

export interface AttachFrame__Output {
  'hello'?: (_isthmus_mesh_v1_Hello__Output | null);
  'ping'?: (_isthmus_mesh_v1_Ping__Output | null);
  'pong'?: (_isthmus_mesh_v1_Pong__Output | null);
  /**
   * Listener to connector: call Tunnel, or open a bulk connection, with this id.
   */
  'open'?: (_isthmus_mesh_v1_OpenTunnel__Output | null);
  'goodbye'?: (_isthmus_mesh_v1_Goodbye__Output | null);
  /**
   * The signed revocation list, passed from neighbour to neighbour; the newer one is sent before anything else.
   */
  'revocations'?: (_isthmus_mesh_v1_RevocationList__Output | null);
  /**
   * Bytes of bulk connections that the receiver has taken off the wire.
   */
  'bulkAcks'?: (_isthmus_mesh_v1_BulkAcks__Output | null);
  /**
   * Either side: this control tunnel is closed, whatever its stream still buffers.
   */
  'close'?: (_isthmus_mesh_v1_CloseTunnel__Output | null);
  /**
   * Either side: the certificate that it has used since it was renewed in this session.
   */
  'credential'?: (_isthmus_mesh_v1_Credential__Output | null);
  'frame'?: "hello"|"ping"|"pong"|"open"|"goodbye"|"revocations"|"bulkAcks"|"close"|"credential";
}

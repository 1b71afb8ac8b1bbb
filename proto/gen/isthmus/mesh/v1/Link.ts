// Original file: proto/isthmus/mesh/v1/link.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AttachFrame as _isthmus_mesh_v1_AttachFrame, AttachFrame__Output as _isthmus_mesh_v1_AttachFrame__Output } from '../../../isthmus/mesh/v1/AttachFrame.ts';
import type { TunnelFrame as _isthmus_mesh_v1_TunnelFrame, TunnelFrame__Output as _isthmus_mesh_v1_TunnelFrame__Output } from '../../../isthmus/mesh/v1/TunnelFrame.ts';

/**
 * The listener serves it; the connector is the gRPC client.
 */
export interface LinkClient extends grpc.Client {
  /**
   * One call per link session. Its end ends the session and every tunnel on it.
   */
  Attach(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_mesh_v1_AttachFrame, _isthmus_mesh_v1_AttachFrame__Output>;
  Attach(options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_mesh_v1_AttachFrame, _isthmus_mesh_v1_AttachFrame__Output>;
  /**
   * One call per link session. Its end ends the session and every tunnel on it.
   */
  attach(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_mesh_v1_AttachFrame, _isthmus_mesh_v1_AttachFrame__Output>;
  attach(options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_mesh_v1_AttachFrame, _isthmus_mesh_v1_AttachFrame__Output>;
  
  /**
   * One call per control tunnel. The first frame each way opens it: `open` from the initiator (or `answer_tunnel_id`,
   * where the connector answers an OpenTunnel), `opened` back. Every later frame is `data`.
   */
  Tunnel(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_mesh_v1_TunnelFrame, _isthmus_mesh_v1_TunnelFrame__Output>;
  Tunnel(options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_mesh_v1_TunnelFrame, _isthmus_mesh_v1_TunnelFrame__Output>;
  /**
   * One call per control tunnel. The first frame each way opens it: `open` from the initiator (or `answer_tunnel_id`,
   * where the connector answers an OpenTunnel), `opened` back. Every later frame is `data`.
   */
  tunnel(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_mesh_v1_TunnelFrame, _isthmus_mesh_v1_TunnelFrame__Output>;
  tunnel(options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_mesh_v1_TunnelFrame, _isthmus_mesh_v1_TunnelFrame__Output>;
  
}

/**
 * The listener serves it; the connector is the gRPC client.
 */
export interface LinkHandlers extends grpc.UntypedServiceImplementation {
  /**
   * One call per link session. Its end ends the session and every tunnel on it.
   */
  Attach: grpc.handleBidiStreamingCall<_isthmus_mesh_v1_AttachFrame__Output, _isthmus_mesh_v1_AttachFrame>;
  
  /**
   * One call per control tunnel. The first frame each way opens it: `open` from the initiator (or `answer_tunnel_id`,
   * where the connector answers an OpenTunnel), `opened` back. Every later frame is `data`.
   */
  Tunnel: grpc.handleBidiStreamingCall<_isthmus_mesh_v1_TunnelFrame__Output, _isthmus_mesh_v1_TunnelFrame>;
  
}

export interface LinkDefinition extends grpc.ServiceDefinition {
  Attach: MethodDefinition<_isthmus_mesh_v1_AttachFrame, _isthmus_mesh_v1_AttachFrame, _isthmus_mesh_v1_AttachFrame__Output, _isthmus_mesh_v1_AttachFrame__Output>
  Tunnel: MethodDefinition<_isthmus_mesh_v1_TunnelFrame, _isthmus_mesh_v1_TunnelFrame, _isthmus_mesh_v1_TunnelFrame__Output, _isthmus_mesh_v1_TunnelFrame__Output>
}

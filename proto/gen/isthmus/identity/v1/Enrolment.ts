// Original file: proto/isthmus/identity/v1/identity.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AbandonRequest as _isthmus_identity_v1_AbandonRequest, AbandonRequest__Output as _isthmus_identity_v1_AbandonRequest__Output } from '../../../isthmus/identity/v1/AbandonRequest.ts';
import type { AbandonResponse as _isthmus_identity_v1_AbandonResponse, AbandonResponse__Output as _isthmus_identity_v1_AbandonResponse__Output } from '../../../isthmus/identity/v1/AbandonResponse.ts';
import type { BeginRequest as _isthmus_identity_v1_BeginRequest, BeginRequest__Output as _isthmus_identity_v1_BeginRequest__Output } from '../../../isthmus/identity/v1/BeginRequest.ts';
import type { BeginResponse as _isthmus_identity_v1_BeginResponse, BeginResponse__Output as _isthmus_identity_v1_BeginResponse__Output } from '../../../isthmus/identity/v1/BeginResponse.ts';
import type { EnrolRequest as _isthmus_identity_v1_EnrolRequest, EnrolRequest__Output as _isthmus_identity_v1_EnrolRequest__Output } from '../../../isthmus/identity/v1/EnrolRequest.ts';
import type { EnrolResponse as _isthmus_identity_v1_EnrolResponse, EnrolResponse__Output as _isthmus_identity_v1_EnrolResponse__Output } from '../../../isthmus/identity/v1/EnrolResponse.ts';

/**
 * For a peer without a certificate, over the service `enrol`. The joining node is always the gRPC client, also where it
 * was dialled and is the TLS server of the session.
 */
export interface EnrolmentClient extends grpc.Client {
  /**
   * Frees the token that Enrol bound in this session, when the node could not confirm.
   */
  Abandon(argument: _isthmus_identity_v1_AbandonRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_AbandonResponse__Output>): grpc.ClientUnaryCall;
  Abandon(argument: _isthmus_identity_v1_AbandonRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_identity_v1_AbandonResponse__Output>): grpc.ClientUnaryCall;
  Abandon(argument: _isthmus_identity_v1_AbandonRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_AbandonResponse__Output>): grpc.ClientUnaryCall;
  Abandon(argument: _isthmus_identity_v1_AbandonRequest, callback: grpc.requestCallback<_isthmus_identity_v1_AbandonResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Frees the token that Enrol bound in this session, when the node could not confirm.
   */
  abandon(argument: _isthmus_identity_v1_AbandonRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_AbandonResponse__Output>): grpc.ClientUnaryCall;
  abandon(argument: _isthmus_identity_v1_AbandonRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_identity_v1_AbandonResponse__Output>): grpc.ClientUnaryCall;
  abandon(argument: _isthmus_identity_v1_AbandonRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_AbandonResponse__Output>): grpc.ClientUnaryCall;
  abandon(argument: _isthmus_identity_v1_AbandonRequest, callback: grpc.requestCallback<_isthmus_identity_v1_AbandonResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Identifies the server and issues a nonce. Changes nothing.
   */
  Begin(argument: _isthmus_identity_v1_BeginRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_BeginResponse__Output>): grpc.ClientUnaryCall;
  Begin(argument: _isthmus_identity_v1_BeginRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_identity_v1_BeginResponse__Output>): grpc.ClientUnaryCall;
  Begin(argument: _isthmus_identity_v1_BeginRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_BeginResponse__Output>): grpc.ClientUnaryCall;
  Begin(argument: _isthmus_identity_v1_BeginRequest, callback: grpc.requestCallback<_isthmus_identity_v1_BeginResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Identifies the server and issues a nonce. Changes nothing.
   */
  begin(argument: _isthmus_identity_v1_BeginRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_BeginResponse__Output>): grpc.ClientUnaryCall;
  begin(argument: _isthmus_identity_v1_BeginRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_identity_v1_BeginResponse__Output>): grpc.ClientUnaryCall;
  begin(argument: _isthmus_identity_v1_BeginRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_BeginResponse__Output>): grpc.ClientUnaryCall;
  begin(argument: _isthmus_identity_v1_BeginRequest, callback: grpc.requestCallback<_isthmus_identity_v1_BeginResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Proves the token and the key; answers with a certificate that lives for minutes, long enough to confirm. The token
   * is bound to this key until Confirm consumes it, or Abandon or the end of this session frees it.
   */
  Enrol(argument: _isthmus_identity_v1_EnrolRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  Enrol(argument: _isthmus_identity_v1_EnrolRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_identity_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  Enrol(argument: _isthmus_identity_v1_EnrolRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  Enrol(argument: _isthmus_identity_v1_EnrolRequest, callback: grpc.requestCallback<_isthmus_identity_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Proves the token and the key; answers with a certificate that lives for minutes, long enough to confirm. The token
   * is bound to this key until Confirm consumes it, or Abandon or the end of this session frees it.
   */
  enrol(argument: _isthmus_identity_v1_EnrolRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  enrol(argument: _isthmus_identity_v1_EnrolRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_identity_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  enrol(argument: _isthmus_identity_v1_EnrolRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  enrol(argument: _isthmus_identity_v1_EnrolRequest, callback: grpc.requestCallback<_isthmus_identity_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  
}

/**
 * For a peer without a certificate, over the service `enrol`. The joining node is always the gRPC client, also where it
 * was dialled and is the TLS server of the session.
 */
export interface EnrolmentHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Frees the token that Enrol bound in this session, when the node could not confirm.
   */
  Abandon: grpc.handleUnaryCall<_isthmus_identity_v1_AbandonRequest__Output, _isthmus_identity_v1_AbandonResponse>;
  
  /**
   * Identifies the server and issues a nonce. Changes nothing.
   */
  Begin: grpc.handleUnaryCall<_isthmus_identity_v1_BeginRequest__Output, _isthmus_identity_v1_BeginResponse>;
  
  /**
   * Proves the token and the key; answers with a certificate that lives for minutes, long enough to confirm. The token
   * is bound to this key until Confirm consumes it, or Abandon or the end of this session frees it.
   */
  Enrol: grpc.handleUnaryCall<_isthmus_identity_v1_EnrolRequest__Output, _isthmus_identity_v1_EnrolResponse>;
  
}

export interface EnrolmentDefinition extends grpc.ServiceDefinition {
  Abandon: MethodDefinition<_isthmus_identity_v1_AbandonRequest, _isthmus_identity_v1_AbandonResponse, _isthmus_identity_v1_AbandonRequest__Output, _isthmus_identity_v1_AbandonResponse__Output>
  Begin: MethodDefinition<_isthmus_identity_v1_BeginRequest, _isthmus_identity_v1_BeginResponse, _isthmus_identity_v1_BeginRequest__Output, _isthmus_identity_v1_BeginResponse__Output>
  Enrol: MethodDefinition<_isthmus_identity_v1_EnrolRequest, _isthmus_identity_v1_EnrolResponse, _isthmus_identity_v1_EnrolRequest__Output, _isthmus_identity_v1_EnrolResponse__Output>
}

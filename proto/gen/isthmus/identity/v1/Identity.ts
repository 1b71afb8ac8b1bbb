// Original file: proto/isthmus/identity/v1/identity.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { BeginRenewalRequest as _isthmus_identity_v1_BeginRenewalRequest, BeginRenewalRequest__Output as _isthmus_identity_v1_BeginRenewalRequest__Output } from '../../../isthmus/identity/v1/BeginRenewalRequest.ts';
import type { BeginRenewalResponse as _isthmus_identity_v1_BeginRenewalResponse, BeginRenewalResponse__Output as _isthmus_identity_v1_BeginRenewalResponse__Output } from '../../../isthmus/identity/v1/BeginRenewalResponse.ts';
import type { ConfirmRequest as _isthmus_identity_v1_ConfirmRequest, ConfirmRequest__Output as _isthmus_identity_v1_ConfirmRequest__Output } from '../../../isthmus/identity/v1/ConfirmRequest.ts';
import type { ConfirmResponse as _isthmus_identity_v1_ConfirmResponse, ConfirmResponse__Output as _isthmus_identity_v1_ConfirmResponse__Output } from '../../../isthmus/identity/v1/ConfirmResponse.ts';
import type { RenewRequest as _isthmus_identity_v1_RenewRequest, RenewRequest__Output as _isthmus_identity_v1_RenewRequest__Output } from '../../../isthmus/identity/v1/RenewRequest.ts';
import type { RenewResponse as _isthmus_identity_v1_RenewResponse, RenewResponse__Output as _isthmus_identity_v1_RenewResponse__Output } from '../../../isthmus/identity/v1/RenewResponse.ts';

/**
 * For a peer with a certificate, over the service `identity`.
 */
export interface IdentityClient extends grpc.Client {
  BeginRenewal(argument: _isthmus_identity_v1_BeginRenewalRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_BeginRenewalResponse__Output>): grpc.ClientUnaryCall;
  BeginRenewal(argument: _isthmus_identity_v1_BeginRenewalRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_identity_v1_BeginRenewalResponse__Output>): grpc.ClientUnaryCall;
  BeginRenewal(argument: _isthmus_identity_v1_BeginRenewalRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_BeginRenewalResponse__Output>): grpc.ClientUnaryCall;
  BeginRenewal(argument: _isthmus_identity_v1_BeginRenewalRequest, callback: grpc.requestCallback<_isthmus_identity_v1_BeginRenewalResponse__Output>): grpc.ClientUnaryCall;
  beginRenewal(argument: _isthmus_identity_v1_BeginRenewalRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_BeginRenewalResponse__Output>): grpc.ClientUnaryCall;
  beginRenewal(argument: _isthmus_identity_v1_BeginRenewalRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_identity_v1_BeginRenewalResponse__Output>): grpc.ClientUnaryCall;
  beginRenewal(argument: _isthmus_identity_v1_BeginRenewalRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_BeginRenewalResponse__Output>): grpc.ClientUnaryCall;
  beginRenewal(argument: _isthmus_identity_v1_BeginRenewalRequest, callback: grpc.requestCallback<_isthmus_identity_v1_BeginRenewalResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Consumes the token: the node has crossed every hop with its new certificate. Answers with the lasting certificate
   * for the same key. Idempotent for the key that the token is bound to; denied to every other key.
   */
  Confirm(argument: _isthmus_identity_v1_ConfirmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_ConfirmResponse__Output>): grpc.ClientUnaryCall;
  Confirm(argument: _isthmus_identity_v1_ConfirmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_identity_v1_ConfirmResponse__Output>): grpc.ClientUnaryCall;
  Confirm(argument: _isthmus_identity_v1_ConfirmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_ConfirmResponse__Output>): grpc.ClientUnaryCall;
  Confirm(argument: _isthmus_identity_v1_ConfirmRequest, callback: grpc.requestCallback<_isthmus_identity_v1_ConfirmResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Consumes the token: the node has crossed every hop with its new certificate. Answers with the lasting certificate
   * for the same key. Idempotent for the key that the token is bound to; denied to every other key.
   */
  confirm(argument: _isthmus_identity_v1_ConfirmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_ConfirmResponse__Output>): grpc.ClientUnaryCall;
  confirm(argument: _isthmus_identity_v1_ConfirmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_identity_v1_ConfirmResponse__Output>): grpc.ClientUnaryCall;
  confirm(argument: _isthmus_identity_v1_ConfirmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_ConfirmResponse__Output>): grpc.ClientUnaryCall;
  confirm(argument: _isthmus_identity_v1_ConfirmRequest, callback: grpc.requestCallback<_isthmus_identity_v1_ConfirmResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Idempotent for the same public key, so that a lost answer can be requested again. Denied to a certificate of Enrol.
   */
  Renew(argument: _isthmus_identity_v1_RenewRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  Renew(argument: _isthmus_identity_v1_RenewRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_identity_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  Renew(argument: _isthmus_identity_v1_RenewRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  Renew(argument: _isthmus_identity_v1_RenewRequest, callback: grpc.requestCallback<_isthmus_identity_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Idempotent for the same public key, so that a lost answer can be requested again. Denied to a certificate of Enrol.
   */
  renew(argument: _isthmus_identity_v1_RenewRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  renew(argument: _isthmus_identity_v1_RenewRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_identity_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  renew(argument: _isthmus_identity_v1_RenewRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_identity_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  renew(argument: _isthmus_identity_v1_RenewRequest, callback: grpc.requestCallback<_isthmus_identity_v1_RenewResponse__Output>): grpc.ClientUnaryCall;
  
}

/**
 * For a peer with a certificate, over the service `identity`.
 */
export interface IdentityHandlers extends grpc.UntypedServiceImplementation {
  BeginRenewal: grpc.handleUnaryCall<_isthmus_identity_v1_BeginRenewalRequest__Output, _isthmus_identity_v1_BeginRenewalResponse>;
  
  /**
   * Consumes the token: the node has crossed every hop with its new certificate. Answers with the lasting certificate
   * for the same key. Idempotent for the key that the token is bound to; denied to every other key.
   */
  Confirm: grpc.handleUnaryCall<_isthmus_identity_v1_ConfirmRequest__Output, _isthmus_identity_v1_ConfirmResponse>;
  
  /**
   * Idempotent for the same public key, so that a lost answer can be requested again. Denied to a certificate of Enrol.
   */
  Renew: grpc.handleUnaryCall<_isthmus_identity_v1_RenewRequest__Output, _isthmus_identity_v1_RenewResponse>;
  
}

export interface IdentityDefinition extends grpc.ServiceDefinition {
  BeginRenewal: MethodDefinition<_isthmus_identity_v1_BeginRenewalRequest, _isthmus_identity_v1_BeginRenewalResponse, _isthmus_identity_v1_BeginRenewalRequest__Output, _isthmus_identity_v1_BeginRenewalResponse__Output>
  Confirm: MethodDefinition<_isthmus_identity_v1_ConfirmRequest, _isthmus_identity_v1_ConfirmResponse, _isthmus_identity_v1_ConfirmRequest__Output, _isthmus_identity_v1_ConfirmResponse__Output>
  Renew: MethodDefinition<_isthmus_identity_v1_RenewRequest, _isthmus_identity_v1_RenewResponse, _isthmus_identity_v1_RenewRequest__Output, _isthmus_identity_v1_RenewResponse__Output>
}

// Original file: proto/isthmus/mirror/v1/mirror.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { EnvelopeRequest as _isthmus_tentacle_v1_EnvelopeRequest, EnvelopeRequest__Output as _isthmus_tentacle_v1_EnvelopeRequest__Output } from '../../../isthmus/tentacle/v1/EnvelopeRequest.ts';
import type { ListRequest as _isthmus_mirror_v1_ListRequest, ListRequest__Output as _isthmus_mirror_v1_ListRequest__Output } from '../../../isthmus/mirror/v1/ListRequest.ts';
import type { MirrorStatus as _isthmus_mirror_v1_MirrorStatus, MirrorStatus__Output as _isthmus_mirror_v1_MirrorStatus__Output } from '../../../isthmus/mirror/v1/MirrorStatus.ts';
import type { StatusRequest as _isthmus_mirror_v1_StatusRequest, StatusRequest__Output as _isthmus_mirror_v1_StatusRequest__Output } from '../../../isthmus/mirror/v1/StatusRequest.ts';
import type { StoredPackages as _isthmus_mirror_v1_StoredPackages, StoredPackages__Output as _isthmus_mirror_v1_StoredPackages__Output } from '../../../isthmus/mirror/v1/StoredPackages.ts';
import type { WarmProgress as _isthmus_mirror_v1_WarmProgress, WarmProgress__Output as _isthmus_mirror_v1_WarmProgress__Output } from '../../../isthmus/mirror/v1/WarmProgress.ts';

export interface MirrorClient extends grpc.Client {
  /**
   * The packages in the cache, by digest.
   */
  List(argument: _isthmus_mirror_v1_ListRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_StoredPackages__Output>): grpc.ClientUnaryCall;
  List(argument: _isthmus_mirror_v1_ListRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_mirror_v1_StoredPackages__Output>): grpc.ClientUnaryCall;
  List(argument: _isthmus_mirror_v1_ListRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_StoredPackages__Output>): grpc.ClientUnaryCall;
  List(argument: _isthmus_mirror_v1_ListRequest, callback: grpc.requestCallback<_isthmus_mirror_v1_StoredPackages__Output>): grpc.ClientUnaryCall;
  /**
   * The packages in the cache, by digest.
   */
  list(argument: _isthmus_mirror_v1_ListRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_StoredPackages__Output>): grpc.ClientUnaryCall;
  list(argument: _isthmus_mirror_v1_ListRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_mirror_v1_StoredPackages__Output>): grpc.ClientUnaryCall;
  list(argument: _isthmus_mirror_v1_ListRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_StoredPackages__Output>): grpc.ClientUnaryCall;
  list(argument: _isthmus_mirror_v1_ListRequest, callback: grpc.requestCallback<_isthmus_mirror_v1_StoredPackages__Output>): grpc.ClientUnaryCall;
  
  Status(argument: _isthmus_mirror_v1_StatusRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_MirrorStatus__Output>): grpc.ClientUnaryCall;
  Status(argument: _isthmus_mirror_v1_StatusRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_mirror_v1_MirrorStatus__Output>): grpc.ClientUnaryCall;
  Status(argument: _isthmus_mirror_v1_StatusRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_MirrorStatus__Output>): grpc.ClientUnaryCall;
  Status(argument: _isthmus_mirror_v1_StatusRequest, callback: grpc.requestCallback<_isthmus_mirror_v1_MirrorStatus__Output>): grpc.ClientUnaryCall;
  status(argument: _isthmus_mirror_v1_StatusRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_MirrorStatus__Output>): grpc.ClientUnaryCall;
  status(argument: _isthmus_mirror_v1_StatusRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_mirror_v1_MirrorStatus__Output>): grpc.ClientUnaryCall;
  status(argument: _isthmus_mirror_v1_StatusRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_MirrorStatus__Output>): grpc.ClientUnaryCall;
  status(argument: _isthmus_mirror_v1_StatusRequest, callback: grpc.requestCallback<_isthmus_mirror_v1_MirrorStatus__Output>): grpc.ClientUnaryCall;
  
  /**
   * Fetches a package that nobody waits for, with progress. It goes on for as long as the call is open, or a requester
   * waits for the package too. Idempotent: what is there is not fetched.
   */
  Warm(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_isthmus_mirror_v1_WarmProgress__Output>;
  Warm(argument: _isthmus_tentacle_v1_EnvelopeRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_isthmus_mirror_v1_WarmProgress__Output>;
  /**
   * Fetches a package that nobody waits for, with progress. It goes on for as long as the call is open, or a requester
   * waits for the package too. Idempotent: what is there is not fetched.
   */
  warm(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_isthmus_mirror_v1_WarmProgress__Output>;
  warm(argument: _isthmus_tentacle_v1_EnvelopeRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_isthmus_mirror_v1_WarmProgress__Output>;
  
}

export interface MirrorHandlers extends grpc.UntypedServiceImplementation {
  /**
   * The packages in the cache, by digest.
   */
  List: grpc.handleUnaryCall<_isthmus_mirror_v1_ListRequest__Output, _isthmus_mirror_v1_StoredPackages>;
  
  Status: grpc.handleUnaryCall<_isthmus_mirror_v1_StatusRequest__Output, _isthmus_mirror_v1_MirrorStatus>;
  
  /**
   * Fetches a package that nobody waits for, with progress. It goes on for as long as the call is open, or a requester
   * waits for the package too. Idempotent: what is there is not fetched.
   */
  Warm: grpc.handleServerStreamingCall<_isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_mirror_v1_WarmProgress>;
  
}

export interface MirrorDefinition extends grpc.ServiceDefinition {
  List: MethodDefinition<_isthmus_mirror_v1_ListRequest, _isthmus_mirror_v1_StoredPackages, _isthmus_mirror_v1_ListRequest__Output, _isthmus_mirror_v1_StoredPackages__Output>
  Status: MethodDefinition<_isthmus_mirror_v1_StatusRequest, _isthmus_mirror_v1_MirrorStatus, _isthmus_mirror_v1_StatusRequest__Output, _isthmus_mirror_v1_MirrorStatus__Output>
  Warm: MethodDefinition<_isthmus_tentacle_v1_EnvelopeRequest, _isthmus_mirror_v1_WarmProgress, _isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_mirror_v1_WarmProgress__Output>
}

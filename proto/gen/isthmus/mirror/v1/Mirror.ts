// Original file: proto/isthmus/mirror/v1/mirror.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { CollectResponse as _isthmus_mirror_v1_CollectResponse, CollectResponse__Output as _isthmus_mirror_v1_CollectResponse__Output } from '../../../isthmus/mirror/v1/CollectResponse.ts';
import type { EnvelopeRequest as _isthmus_tentacle_v1_EnvelopeRequest, EnvelopeRequest__Output as _isthmus_tentacle_v1_EnvelopeRequest__Output } from '../../../isthmus/tentacle/v1/EnvelopeRequest.ts';
import type { KeepResponse as _isthmus_mirror_v1_KeepResponse, KeepResponse__Output as _isthmus_mirror_v1_KeepResponse__Output } from '../../../isthmus/mirror/v1/KeepResponse.ts';
import type { ListRequest as _isthmus_mirror_v1_ListRequest, ListRequest__Output as _isthmus_mirror_v1_ListRequest__Output } from '../../../isthmus/mirror/v1/ListRequest.ts';
import type { MirrorStatus as _isthmus_mirror_v1_MirrorStatus, MirrorStatus__Output as _isthmus_mirror_v1_MirrorStatus__Output } from '../../../isthmus/mirror/v1/MirrorStatus.ts';
import type { StatusRequest as _isthmus_mirror_v1_StatusRequest, StatusRequest__Output as _isthmus_mirror_v1_StatusRequest__Output } from '../../../isthmus/mirror/v1/StatusRequest.ts';
import type { StoredPackages as _isthmus_mirror_v1_StoredPackages, StoredPackages__Output as _isthmus_mirror_v1_StoredPackages__Output } from '../../../isthmus/mirror/v1/StoredPackages.ts';
import type { VerifyResponse as _isthmus_mirror_v1_VerifyResponse, VerifyResponse__Output as _isthmus_mirror_v1_VerifyResponse__Output } from '../../../isthmus/mirror/v1/VerifyResponse.ts';
import type { WarmProgress as _isthmus_mirror_v1_WarmProgress, WarmProgress__Output as _isthmus_mirror_v1_WarmProgress__Output } from '../../../isthmus/mirror/v1/WarmProgress.ts';

export interface MirrorClient extends grpc.Client {
  /**
   * Removes what need not stay: damaged files, interrupted fetches, and packages down to the low-water mark.
   */
  Collect(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  Collect(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_mirror_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  Collect(argument: _isthmus_tentacle_v1_EnvelopeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  Collect(argument: _isthmus_tentacle_v1_EnvelopeRequest, callback: grpc.requestCallback<_isthmus_mirror_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Removes what need not stay: damaged files, interrupted fetches, and packages down to the low-water mark.
   */
  collect(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  collect(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_mirror_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  collect(argument: _isthmus_tentacle_v1_EnvelopeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  collect(argument: _isthmus_tentacle_v1_EnvelopeRequest, callback: grpc.requestCallback<_isthmus_mirror_v1_CollectResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Replaces what the cache must not evict.
   */
  Keep(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_KeepResponse__Output>): grpc.ClientUnaryCall;
  Keep(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_mirror_v1_KeepResponse__Output>): grpc.ClientUnaryCall;
  Keep(argument: _isthmus_tentacle_v1_EnvelopeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_KeepResponse__Output>): grpc.ClientUnaryCall;
  Keep(argument: _isthmus_tentacle_v1_EnvelopeRequest, callback: grpc.requestCallback<_isthmus_mirror_v1_KeepResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Replaces what the cache must not evict.
   */
  keep(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_KeepResponse__Output>): grpc.ClientUnaryCall;
  keep(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_mirror_v1_KeepResponse__Output>): grpc.ClientUnaryCall;
  keep(argument: _isthmus_tentacle_v1_EnvelopeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_KeepResponse__Output>): grpc.ClientUnaryCall;
  keep(argument: _isthmus_tentacle_v1_EnvelopeRequest, callback: grpc.requestCallback<_isthmus_mirror_v1_KeepResponse__Output>): grpc.ClientUnaryCall;
  
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
   * Digests every package now, and answers when all are done. Damaged ones are put aside, and never served.
   */
  Verify(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_VerifyResponse__Output>): grpc.ClientUnaryCall;
  Verify(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_mirror_v1_VerifyResponse__Output>): grpc.ClientUnaryCall;
  Verify(argument: _isthmus_tentacle_v1_EnvelopeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_VerifyResponse__Output>): grpc.ClientUnaryCall;
  Verify(argument: _isthmus_tentacle_v1_EnvelopeRequest, callback: grpc.requestCallback<_isthmus_mirror_v1_VerifyResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Digests every package now, and answers when all are done. Damaged ones are put aside, and never served.
   */
  verify(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_VerifyResponse__Output>): grpc.ClientUnaryCall;
  verify(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_mirror_v1_VerifyResponse__Output>): grpc.ClientUnaryCall;
  verify(argument: _isthmus_tentacle_v1_EnvelopeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_mirror_v1_VerifyResponse__Output>): grpc.ClientUnaryCall;
  verify(argument: _isthmus_tentacle_v1_EnvelopeRequest, callback: grpc.requestCallback<_isthmus_mirror_v1_VerifyResponse__Output>): grpc.ClientUnaryCall;
  
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
   * Removes what need not stay: damaged files, interrupted fetches, and packages down to the low-water mark.
   */
  Collect: grpc.handleUnaryCall<_isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_mirror_v1_CollectResponse>;
  
  /**
   * Replaces what the cache must not evict.
   */
  Keep: grpc.handleUnaryCall<_isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_mirror_v1_KeepResponse>;
  
  /**
   * The packages in the cache, by digest.
   */
  List: grpc.handleUnaryCall<_isthmus_mirror_v1_ListRequest__Output, _isthmus_mirror_v1_StoredPackages>;
  
  Status: grpc.handleUnaryCall<_isthmus_mirror_v1_StatusRequest__Output, _isthmus_mirror_v1_MirrorStatus>;
  
  /**
   * Digests every package now, and answers when all are done. Damaged ones are put aside, and never served.
   */
  Verify: grpc.handleUnaryCall<_isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_mirror_v1_VerifyResponse>;
  
  /**
   * Fetches a package that nobody waits for, with progress. It goes on for as long as the call is open, or a requester
   * waits for the package too. Idempotent: what is there is not fetched.
   */
  Warm: grpc.handleServerStreamingCall<_isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_mirror_v1_WarmProgress>;
  
}

export interface MirrorDefinition extends grpc.ServiceDefinition {
  Collect: MethodDefinition<_isthmus_tentacle_v1_EnvelopeRequest, _isthmus_mirror_v1_CollectResponse, _isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_mirror_v1_CollectResponse__Output>
  Keep: MethodDefinition<_isthmus_tentacle_v1_EnvelopeRequest, _isthmus_mirror_v1_KeepResponse, _isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_mirror_v1_KeepResponse__Output>
  List: MethodDefinition<_isthmus_mirror_v1_ListRequest, _isthmus_mirror_v1_StoredPackages, _isthmus_mirror_v1_ListRequest__Output, _isthmus_mirror_v1_StoredPackages__Output>
  Status: MethodDefinition<_isthmus_mirror_v1_StatusRequest, _isthmus_mirror_v1_MirrorStatus, _isthmus_mirror_v1_StatusRequest__Output, _isthmus_mirror_v1_MirrorStatus__Output>
  Verify: MethodDefinition<_isthmus_tentacle_v1_EnvelopeRequest, _isthmus_mirror_v1_VerifyResponse, _isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_mirror_v1_VerifyResponse__Output>
  Warm: MethodDefinition<_isthmus_tentacle_v1_EnvelopeRequest, _isthmus_mirror_v1_WarmProgress, _isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_mirror_v1_WarmProgress__Output>
}

// Original file: proto/isthmus/topology/v1/topology.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { FindPlacesRequest as _isthmus_topology_v1_FindPlacesRequest, FindPlacesRequest__Output as _isthmus_topology_v1_FindPlacesRequest__Output } from '../../../isthmus/topology/v1/FindPlacesRequest.ts';
import type { FindPlacesResponse as _isthmus_topology_v1_FindPlacesResponse, FindPlacesResponse__Output as _isthmus_topology_v1_FindPlacesResponse__Output } from '../../../isthmus/topology/v1/FindPlacesResponse.ts';

/**
 * Where a package is to be had, nearest first. Asked by mirrors; tentacles are told in the envelope.
 */
export interface PlacesClient extends grpc.Client {
  Find(argument: _isthmus_topology_v1_FindPlacesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_topology_v1_FindPlacesResponse__Output>): grpc.ClientUnaryCall;
  Find(argument: _isthmus_topology_v1_FindPlacesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_topology_v1_FindPlacesResponse__Output>): grpc.ClientUnaryCall;
  Find(argument: _isthmus_topology_v1_FindPlacesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_topology_v1_FindPlacesResponse__Output>): grpc.ClientUnaryCall;
  Find(argument: _isthmus_topology_v1_FindPlacesRequest, callback: grpc.requestCallback<_isthmus_topology_v1_FindPlacesResponse__Output>): grpc.ClientUnaryCall;
  find(argument: _isthmus_topology_v1_FindPlacesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_topology_v1_FindPlacesResponse__Output>): grpc.ClientUnaryCall;
  find(argument: _isthmus_topology_v1_FindPlacesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_topology_v1_FindPlacesResponse__Output>): grpc.ClientUnaryCall;
  find(argument: _isthmus_topology_v1_FindPlacesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_topology_v1_FindPlacesResponse__Output>): grpc.ClientUnaryCall;
  find(argument: _isthmus_topology_v1_FindPlacesRequest, callback: grpc.requestCallback<_isthmus_topology_v1_FindPlacesResponse__Output>): grpc.ClientUnaryCall;
  
}

/**
 * Where a package is to be had, nearest first. Asked by mirrors; tentacles are told in the envelope.
 */
export interface PlacesHandlers extends grpc.UntypedServiceImplementation {
  Find: grpc.handleUnaryCall<_isthmus_topology_v1_FindPlacesRequest__Output, _isthmus_topology_v1_FindPlacesResponse>;
  
}

export interface PlacesDefinition extends grpc.ServiceDefinition {
  Find: MethodDefinition<_isthmus_topology_v1_FindPlacesRequest, _isthmus_topology_v1_FindPlacesResponse, _isthmus_topology_v1_FindPlacesRequest__Output, _isthmus_topology_v1_FindPlacesResponse__Output>
}

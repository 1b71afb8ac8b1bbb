// Original file: proto/isthmus/topology/v1/topology.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { FindSourcesRequest as _isthmus_topology_v1_FindSourcesRequest, FindSourcesRequest__Output as _isthmus_topology_v1_FindSourcesRequest__Output } from '../../../isthmus/topology/v1/FindSourcesRequest.ts';
import type { FindSourcesResponse as _isthmus_topology_v1_FindSourcesResponse, FindSourcesResponse__Output as _isthmus_topology_v1_FindSourcesResponse__Output } from '../../../isthmus/topology/v1/FindSourcesResponse.ts';

/**
 * Finds the sources of a package, nearest first. Mirrors call it; tentacles get their sources in the envelope.
 */
export interface SourcesClient extends grpc.Client {
  Find(argument: _isthmus_topology_v1_FindSourcesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_topology_v1_FindSourcesResponse__Output>): grpc.ClientUnaryCall;
  Find(argument: _isthmus_topology_v1_FindSourcesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_topology_v1_FindSourcesResponse__Output>): grpc.ClientUnaryCall;
  Find(argument: _isthmus_topology_v1_FindSourcesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_topology_v1_FindSourcesResponse__Output>): grpc.ClientUnaryCall;
  Find(argument: _isthmus_topology_v1_FindSourcesRequest, callback: grpc.requestCallback<_isthmus_topology_v1_FindSourcesResponse__Output>): grpc.ClientUnaryCall;
  find(argument: _isthmus_topology_v1_FindSourcesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_topology_v1_FindSourcesResponse__Output>): grpc.ClientUnaryCall;
  find(argument: _isthmus_topology_v1_FindSourcesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_topology_v1_FindSourcesResponse__Output>): grpc.ClientUnaryCall;
  find(argument: _isthmus_topology_v1_FindSourcesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_topology_v1_FindSourcesResponse__Output>): grpc.ClientUnaryCall;
  find(argument: _isthmus_topology_v1_FindSourcesRequest, callback: grpc.requestCallback<_isthmus_topology_v1_FindSourcesResponse__Output>): grpc.ClientUnaryCall;
  
}

/**
 * Finds the sources of a package, nearest first. Mirrors call it; tentacles get their sources in the envelope.
 */
export interface SourcesHandlers extends grpc.UntypedServiceImplementation {
  Find: grpc.handleUnaryCall<_isthmus_topology_v1_FindSourcesRequest__Output, _isthmus_topology_v1_FindSourcesResponse>;
  
}

export interface SourcesDefinition extends grpc.ServiceDefinition {
  Find: MethodDefinition<_isthmus_topology_v1_FindSourcesRequest, _isthmus_topology_v1_FindSourcesResponse, _isthmus_topology_v1_FindSourcesRequest__Output, _isthmus_topology_v1_FindSourcesResponse__Output>
}

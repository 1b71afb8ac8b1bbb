// Original file: proto/isthmus/topology/v1/topology.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { Assignment as _isthmus_topology_v1_Assignment, Assignment__Output as _isthmus_topology_v1_Assignment__Output } from '../../../isthmus/topology/v1/Assignment.ts';
import type { NodeReport as _isthmus_topology_v1_NodeReport, NodeReport__Output as _isthmus_topology_v1_NodeReport__Output } from '../../../isthmus/topology/v1/NodeReport.ts';

export interface TopologyClient extends grpc.Client {
  /**
   * One per relay, mirror or tentacle, open as long as its path lives: reports up, assignments down.
   */
  Watch(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_topology_v1_NodeReport, _isthmus_topology_v1_Assignment__Output>;
  Watch(options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_topology_v1_NodeReport, _isthmus_topology_v1_Assignment__Output>;
  /**
   * One per relay, mirror or tentacle, open as long as its path lives: reports up, assignments down.
   */
  watch(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_topology_v1_NodeReport, _isthmus_topology_v1_Assignment__Output>;
  watch(options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_topology_v1_NodeReport, _isthmus_topology_v1_Assignment__Output>;
  
}

export interface TopologyHandlers extends grpc.UntypedServiceImplementation {
  /**
   * One per relay, mirror or tentacle, open as long as its path lives: reports up, assignments down.
   */
  Watch: grpc.handleBidiStreamingCall<_isthmus_topology_v1_NodeReport__Output, _isthmus_topology_v1_Assignment>;
  
}

export interface TopologyDefinition extends grpc.ServiceDefinition {
  Watch: MethodDefinition<_isthmus_topology_v1_NodeReport, _isthmus_topology_v1_Assignment, _isthmus_topology_v1_NodeReport__Output, _isthmus_topology_v1_Assignment__Output>
}

import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Assignment as _isthmus_topology_v1_Assignment, Assignment__Output as _isthmus_topology_v1_Assignment__Output } from './isthmus/topology/v1/Assignment.ts';
import type { DialAssignment as _isthmus_topology_v1_DialAssignment, DialAssignment__Output as _isthmus_topology_v1_DialAssignment__Output } from './isthmus/topology/v1/DialAssignment.ts';
import type { FindPlacesRequest as _isthmus_topology_v1_FindPlacesRequest, FindPlacesRequest__Output as _isthmus_topology_v1_FindPlacesRequest__Output } from './isthmus/topology/v1/FindPlacesRequest.ts';
import type { FindPlacesResponse as _isthmus_topology_v1_FindPlacesResponse, FindPlacesResponse__Output as _isthmus_topology_v1_FindPlacesResponse__Output } from './isthmus/topology/v1/FindPlacesResponse.ts';
import type { LinkReport as _isthmus_topology_v1_LinkReport, LinkReport__Output as _isthmus_topology_v1_LinkReport__Output } from './isthmus/topology/v1/LinkReport.ts';
import type { NodeParent as _isthmus_topology_v1_NodeParent, NodeParent__Output as _isthmus_topology_v1_NodeParent__Output } from './isthmus/topology/v1/NodeParent.ts';
import type { NodeReport as _isthmus_topology_v1_NodeReport, NodeReport__Output as _isthmus_topology_v1_NodeReport__Output } from './isthmus/topology/v1/NodeReport.ts';
import type { Place as _isthmus_topology_v1_Place, Place__Output as _isthmus_topology_v1_Place__Output } from './isthmus/topology/v1/Place.ts';
import type { PlacesClient as _isthmus_topology_v1_PlacesClient, PlacesDefinition as _isthmus_topology_v1_PlacesDefinition } from './isthmus/topology/v1/Places.ts';
import type { Refusal as _isthmus_topology_v1_Refusal, Refusal__Output as _isthmus_topology_v1_Refusal__Output } from './isthmus/topology/v1/Refusal.ts';
import type { TopologyClient as _isthmus_topology_v1_TopologyClient, TopologyDefinition as _isthmus_topology_v1_TopologyDefinition } from './isthmus/topology/v1/Topology.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  isthmus: {
    topology: {
      v1: {
        Assignment: MessageTypeDefinition<_isthmus_topology_v1_Assignment, _isthmus_topology_v1_Assignment__Output>
        DialAssignment: MessageTypeDefinition<_isthmus_topology_v1_DialAssignment, _isthmus_topology_v1_DialAssignment__Output>
        FindPlacesRequest: MessageTypeDefinition<_isthmus_topology_v1_FindPlacesRequest, _isthmus_topology_v1_FindPlacesRequest__Output>
        FindPlacesResponse: MessageTypeDefinition<_isthmus_topology_v1_FindPlacesResponse, _isthmus_topology_v1_FindPlacesResponse__Output>
        LinkReport: MessageTypeDefinition<_isthmus_topology_v1_LinkReport, _isthmus_topology_v1_LinkReport__Output>
        NodeParent: MessageTypeDefinition<_isthmus_topology_v1_NodeParent, _isthmus_topology_v1_NodeParent__Output>
        NodeReport: MessageTypeDefinition<_isthmus_topology_v1_NodeReport, _isthmus_topology_v1_NodeReport__Output>
        Place: MessageTypeDefinition<_isthmus_topology_v1_Place, _isthmus_topology_v1_Place__Output>
        /**
         * Where a package is to be had, nearest first. Asked by mirrors; tentacles are told in the envelope.
         */
        Places: SubtypeConstructor<typeof grpc.Client, _isthmus_topology_v1_PlacesClient> & { service: _isthmus_topology_v1_PlacesDefinition }
        Refusal: MessageTypeDefinition<_isthmus_topology_v1_Refusal, _isthmus_topology_v1_Refusal__Output>
        Topology: SubtypeConstructor<typeof grpc.Client, _isthmus_topology_v1_TopologyClient> & { service: _isthmus_topology_v1_TopologyDefinition }
      }
    }
  }
}


import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { HealthReport as _isthmus_health_v1_HealthReport, HealthReport__Output as _isthmus_health_v1_HealthReport__Output } from './isthmus/health/v1/HealthReport.ts';
import type { Interpreter as _isthmus_health_v1_Interpreter, Interpreter__Output as _isthmus_health_v1_Interpreter__Output } from './isthmus/health/v1/Interpreter.ts';
import type { AbandonedSource as _isthmus_topology_v1_AbandonedSource, AbandonedSource__Output as _isthmus_topology_v1_AbandonedSource__Output } from './isthmus/topology/v1/AbandonedSource.ts';
import type { Assignment as _isthmus_topology_v1_Assignment, Assignment__Output as _isthmus_topology_v1_Assignment__Output } from './isthmus/topology/v1/Assignment.ts';
import type { CacheState as _isthmus_topology_v1_CacheState, CacheState__Output as _isthmus_topology_v1_CacheState__Output } from './isthmus/topology/v1/CacheState.ts';
import type { DeltaBase as _isthmus_topology_v1_DeltaBase, DeltaBase__Output as _isthmus_topology_v1_DeltaBase__Output } from './isthmus/topology/v1/DeltaBase.ts';
import type { DeltaHints as _isthmus_topology_v1_DeltaHints, DeltaHints__Output as _isthmus_topology_v1_DeltaHints__Output } from './isthmus/topology/v1/DeltaHints.ts';
import type { Denial as _isthmus_topology_v1_Denial, Denial__Output as _isthmus_topology_v1_Denial__Output } from './isthmus/topology/v1/Denial.ts';
import type { DeniedStart as _isthmus_topology_v1_DeniedStart, DeniedStart__Output as _isthmus_topology_v1_DeniedStart__Output } from './isthmus/topology/v1/DeniedStart.ts';
import type { DialAssignment as _isthmus_topology_v1_DialAssignment, DialAssignment__Output as _isthmus_topology_v1_DialAssignment__Output } from './isthmus/topology/v1/DialAssignment.ts';
import type { FindSourcesRequest as _isthmus_topology_v1_FindSourcesRequest, FindSourcesRequest__Output as _isthmus_topology_v1_FindSourcesRequest__Output } from './isthmus/topology/v1/FindSourcesRequest.ts';
import type { FindSourcesResponse as _isthmus_topology_v1_FindSourcesResponse, FindSourcesResponse__Output as _isthmus_topology_v1_FindSourcesResponse__Output } from './isthmus/topology/v1/FindSourcesResponse.ts';
import type { GzipRecipe as _isthmus_topology_v1_GzipRecipe, GzipRecipe__Output as _isthmus_topology_v1_GzipRecipe__Output } from './isthmus/topology/v1/GzipRecipe.ts';
import type { LinkReport as _isthmus_topology_v1_LinkReport, LinkReport__Output as _isthmus_topology_v1_LinkReport__Output } from './isthmus/topology/v1/LinkReport.ts';
import type { NodeParent as _isthmus_topology_v1_NodeParent, NodeParent__Output as _isthmus_topology_v1_NodeParent__Output } from './isthmus/topology/v1/NodeParent.ts';
import type { NodeReport as _isthmus_topology_v1_NodeReport, NodeReport__Output as _isthmus_topology_v1_NodeReport__Output } from './isthmus/topology/v1/NodeReport.ts';
import type { PackageSource as _isthmus_topology_v1_PackageSource, PackageSource__Output as _isthmus_topology_v1_PackageSource__Output } from './isthmus/topology/v1/PackageSource.ts';
import type { SourceState as _isthmus_topology_v1_SourceState, SourceState__Output as _isthmus_topology_v1_SourceState__Output } from './isthmus/topology/v1/SourceState.ts';
import type { SourcesClient as _isthmus_topology_v1_SourcesClient, SourcesDefinition as _isthmus_topology_v1_SourcesDefinition } from './isthmus/topology/v1/Sources.ts';
import type { TopologyClient as _isthmus_topology_v1_TopologyClient, TopologyDefinition as _isthmus_topology_v1_TopologyDefinition } from './isthmus/topology/v1/Topology.ts';
import type { UpstreamSource as _isthmus_topology_v1_UpstreamSource, UpstreamSource__Output as _isthmus_topology_v1_UpstreamSource__Output } from './isthmus/topology/v1/UpstreamSource.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  isthmus: {
    health: {
      v1: {
        HealthReport: MessageTypeDefinition<_isthmus_health_v1_HealthReport, _isthmus_health_v1_HealthReport__Output>
        Interpreter: MessageTypeDefinition<_isthmus_health_v1_Interpreter, _isthmus_health_v1_Interpreter__Output>
      }
    }
    topology: {
      v1: {
        AbandonedSource: MessageTypeDefinition<_isthmus_topology_v1_AbandonedSource, _isthmus_topology_v1_AbandonedSource__Output>
        Assignment: MessageTypeDefinition<_isthmus_topology_v1_Assignment, _isthmus_topology_v1_Assignment__Output>
        CacheState: MessageTypeDefinition<_isthmus_topology_v1_CacheState, _isthmus_topology_v1_CacheState__Output>
        DeltaBase: MessageTypeDefinition<_isthmus_topology_v1_DeltaBase, _isthmus_topology_v1_DeltaBase__Output>
        DeltaHints: MessageTypeDefinition<_isthmus_topology_v1_DeltaHints, _isthmus_topology_v1_DeltaHints__Output>
        Denial: MessageTypeDefinition<_isthmus_topology_v1_Denial, _isthmus_topology_v1_Denial__Output>
        DeniedStart: MessageTypeDefinition<_isthmus_topology_v1_DeniedStart, _isthmus_topology_v1_DeniedStart__Output>
        DialAssignment: MessageTypeDefinition<_isthmus_topology_v1_DialAssignment, _isthmus_topology_v1_DialAssignment__Output>
        FindSourcesRequest: MessageTypeDefinition<_isthmus_topology_v1_FindSourcesRequest, _isthmus_topology_v1_FindSourcesRequest__Output>
        FindSourcesResponse: MessageTypeDefinition<_isthmus_topology_v1_FindSourcesResponse, _isthmus_topology_v1_FindSourcesResponse__Output>
        GzipRecipe: MessageTypeDefinition<_isthmus_topology_v1_GzipRecipe, _isthmus_topology_v1_GzipRecipe__Output>
        LinkReport: MessageTypeDefinition<_isthmus_topology_v1_LinkReport, _isthmus_topology_v1_LinkReport__Output>
        NodeParent: MessageTypeDefinition<_isthmus_topology_v1_NodeParent, _isthmus_topology_v1_NodeParent__Output>
        NodeReport: MessageTypeDefinition<_isthmus_topology_v1_NodeReport, _isthmus_topology_v1_NodeReport__Output>
        PackageSource: MessageTypeDefinition<_isthmus_topology_v1_PackageSource, _isthmus_topology_v1_PackageSource__Output>
        SourceState: MessageTypeDefinition<_isthmus_topology_v1_SourceState, _isthmus_topology_v1_SourceState__Output>
        /**
         * Finds the sources of a package, nearest first. Mirrors call it; tentacles get their sources in the envelope.
         */
        Sources: SubtypeConstructor<typeof grpc.Client, _isthmus_topology_v1_SourcesClient> & { service: _isthmus_topology_v1_SourcesDefinition }
        Topology: SubtypeConstructor<typeof grpc.Client, _isthmus_topology_v1_TopologyClient> & { service: _isthmus_topology_v1_TopologyDefinition }
        UpstreamSource: MessageTypeDefinition<_isthmus_topology_v1_UpstreamSource, _isthmus_topology_v1_UpstreamSource__Output>
      }
    }
  }
}


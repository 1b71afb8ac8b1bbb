import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { HealthReport as _isthmus_health_v1_HealthReport, HealthReport__Output as _isthmus_health_v1_HealthReport__Output } from './isthmus/health/v1/HealthReport.ts';
import type { Interpreter as _isthmus_health_v1_Interpreter, Interpreter__Output as _isthmus_health_v1_Interpreter__Output } from './isthmus/health/v1/Interpreter.ts';
import type { CacheCounters as _isthmus_mirror_v1_CacheCounters, CacheCounters__Output as _isthmus_mirror_v1_CacheCounters__Output } from './isthmus/mirror/v1/CacheCounters.ts';
import type { CollectPayload as _isthmus_mirror_v1_CollectPayload, CollectPayload__Output as _isthmus_mirror_v1_CollectPayload__Output } from './isthmus/mirror/v1/CollectPayload.ts';
import type { CollectResponse as _isthmus_mirror_v1_CollectResponse, CollectResponse__Output as _isthmus_mirror_v1_CollectResponse__Output } from './isthmus/mirror/v1/CollectResponse.ts';
import type { DamagedPackage as _isthmus_mirror_v1_DamagedPackage, DamagedPackage__Output as _isthmus_mirror_v1_DamagedPackage__Output } from './isthmus/mirror/v1/DamagedPackage.ts';
import type { KeepPayload as _isthmus_mirror_v1_KeepPayload, KeepPayload__Output as _isthmus_mirror_v1_KeepPayload__Output } from './isthmus/mirror/v1/KeepPayload.ts';
import type { KeepResponse as _isthmus_mirror_v1_KeepResponse, KeepResponse__Output as _isthmus_mirror_v1_KeepResponse__Output } from './isthmus/mirror/v1/KeepResponse.ts';
import type { Lease as _isthmus_mirror_v1_Lease, Lease__Output as _isthmus_mirror_v1_Lease__Output } from './isthmus/mirror/v1/Lease.ts';
import type { ListRequest as _isthmus_mirror_v1_ListRequest, ListRequest__Output as _isthmus_mirror_v1_ListRequest__Output } from './isthmus/mirror/v1/ListRequest.ts';
import type { MirrorClient as _isthmus_mirror_v1_MirrorClient, MirrorDefinition as _isthmus_mirror_v1_MirrorDefinition } from './isthmus/mirror/v1/Mirror.ts';
import type { MirrorStatus as _isthmus_mirror_v1_MirrorStatus, MirrorStatus__Output as _isthmus_mirror_v1_MirrorStatus__Output } from './isthmus/mirror/v1/MirrorStatus.ts';
import type { Removed as _isthmus_mirror_v1_Removed, Removed__Output as _isthmus_mirror_v1_Removed__Output } from './isthmus/mirror/v1/Removed.ts';
import type { StatusRequest as _isthmus_mirror_v1_StatusRequest, StatusRequest__Output as _isthmus_mirror_v1_StatusRequest__Output } from './isthmus/mirror/v1/StatusRequest.ts';
import type { StoredPackage as _isthmus_mirror_v1_StoredPackage, StoredPackage__Output as _isthmus_mirror_v1_StoredPackage__Output } from './isthmus/mirror/v1/StoredPackage.ts';
import type { StoredPackages as _isthmus_mirror_v1_StoredPackages, StoredPackages__Output as _isthmus_mirror_v1_StoredPackages__Output } from './isthmus/mirror/v1/StoredPackages.ts';
import type { VerifyPayload as _isthmus_mirror_v1_VerifyPayload, VerifyPayload__Output as _isthmus_mirror_v1_VerifyPayload__Output } from './isthmus/mirror/v1/VerifyPayload.ts';
import type { VerifyResponse as _isthmus_mirror_v1_VerifyResponse, VerifyResponse__Output as _isthmus_mirror_v1_VerifyResponse__Output } from './isthmus/mirror/v1/VerifyResponse.ts';
import type { WarmPayload as _isthmus_mirror_v1_WarmPayload, WarmPayload__Output as _isthmus_mirror_v1_WarmPayload__Output } from './isthmus/mirror/v1/WarmPayload.ts';
import type { WarmProgress as _isthmus_mirror_v1_WarmProgress, WarmProgress__Output as _isthmus_mirror_v1_WarmProgress__Output } from './isthmus/mirror/v1/WarmProgress.ts';
import type { AcquireProgress as _isthmus_tentacle_v1_AcquireProgress, AcquireProgress__Output as _isthmus_tentacle_v1_AcquireProgress__Output } from './isthmus/tentacle/v1/AcquireProgress.ts';
import type { CancelPayload as _isthmus_tentacle_v1_CancelPayload, CancelPayload__Output as _isthmus_tentacle_v1_CancelPayload__Output } from './isthmus/tentacle/v1/CancelPayload.ts';
import type { CancelScriptRequest as _isthmus_tentacle_v1_CancelScriptRequest, CancelScriptRequest__Output as _isthmus_tentacle_v1_CancelScriptRequest__Output } from './isthmus/tentacle/v1/CancelScriptRequest.ts';
import type { Envelope as _isthmus_tentacle_v1_Envelope, Envelope__Output as _isthmus_tentacle_v1_Envelope__Output } from './isthmus/tentacle/v1/Envelope.ts';
import type { EnvelopeBody as _isthmus_tentacle_v1_EnvelopeBody, EnvelopeBody__Output as _isthmus_tentacle_v1_EnvelopeBody__Output } from './isthmus/tentacle/v1/EnvelopeBody.ts';
import type { EnvelopeRequest as _isthmus_tentacle_v1_EnvelopeRequest, EnvelopeRequest__Output as _isthmus_tentacle_v1_EnvelopeRequest__Output } from './isthmus/tentacle/v1/EnvelopeRequest.ts';
import type { FailedSource as _isthmus_tentacle_v1_FailedSource, FailedSource__Output as _isthmus_tentacle_v1_FailedSource__Output } from './isthmus/tentacle/v1/FailedSource.ts';
import type { HealthRequest as _isthmus_tentacle_v1_HealthRequest, HealthRequest__Output as _isthmus_tentacle_v1_HealthRequest__Output } from './isthmus/tentacle/v1/HealthRequest.ts';
import type { Installation as _isthmus_tentacle_v1_Installation, Installation__Output as _isthmus_tentacle_v1_Installation__Output } from './isthmus/tentacle/v1/Installation.ts';
import type { LogBatch as _isthmus_tentacle_v1_LogBatch, LogBatch__Output as _isthmus_tentacle_v1_LogBatch__Output } from './isthmus/tentacle/v1/LogBatch.ts';
import type { LogLine as _isthmus_tentacle_v1_LogLine, LogLine__Output as _isthmus_tentacle_v1_LogLine__Output } from './isthmus/tentacle/v1/LogLine.ts';
import type { LogRequest as _isthmus_tentacle_v1_LogRequest, LogRequest__Output as _isthmus_tentacle_v1_LogRequest__Output } from './isthmus/tentacle/v1/LogRequest.ts';
import type { PackagePayload as _isthmus_tentacle_v1_PackagePayload, PackagePayload__Output as _isthmus_tentacle_v1_PackagePayload__Output } from './isthmus/tentacle/v1/PackagePayload.ts';
import type { PackageRef as _isthmus_tentacle_v1_PackageRef, PackageRef__Output as _isthmus_tentacle_v1_PackageRef__Output } from './isthmus/tentacle/v1/PackageRef.ts';
import type { PackageStatus as _isthmus_tentacle_v1_PackageStatus, PackageStatus__Output as _isthmus_tentacle_v1_PackageStatus__Output } from './isthmus/tentacle/v1/PackageStatus.ts';
import type { PackageWarning as _isthmus_tentacle_v1_PackageWarning, PackageWarning__Output as _isthmus_tentacle_v1_PackageWarning__Output } from './isthmus/tentacle/v1/PackageWarning.ts';
import type { ScriptPayload as _isthmus_tentacle_v1_ScriptPayload, ScriptPayload__Output as _isthmus_tentacle_v1_ScriptPayload__Output } from './isthmus/tentacle/v1/ScriptPayload.ts';
import type { ScriptStatus as _isthmus_tentacle_v1_ScriptStatus, ScriptStatus__Output as _isthmus_tentacle_v1_ScriptStatus__Output } from './isthmus/tentacle/v1/ScriptStatus.ts';
import type { SignerStatement as _isthmus_tentacle_v1_SignerStatement, SignerStatement__Output as _isthmus_tentacle_v1_SignerStatement__Output } from './isthmus/tentacle/v1/SignerStatement.ts';
import type { SubstitutionRule as _isthmus_tentacle_v1_SubstitutionRule, SubstitutionRule__Output as _isthmus_tentacle_v1_SubstitutionRule__Output } from './isthmus/tentacle/v1/SubstitutionRule.ts';
import type { TentacleClient as _isthmus_tentacle_v1_TentacleClient, TentacleDefinition as _isthmus_tentacle_v1_TentacleDefinition } from './isthmus/tentacle/v1/Tentacle.ts';
import type { TicketRequest as _isthmus_tentacle_v1_TicketRequest, TicketRequest__Output as _isthmus_tentacle_v1_TicketRequest__Output } from './isthmus/tentacle/v1/TicketRequest.ts';
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
    mirror: {
      v1: {
        CacheCounters: MessageTypeDefinition<_isthmus_mirror_v1_CacheCounters, _isthmus_mirror_v1_CacheCounters__Output>
        CollectPayload: MessageTypeDefinition<_isthmus_mirror_v1_CollectPayload, _isthmus_mirror_v1_CollectPayload__Output>
        CollectResponse: MessageTypeDefinition<_isthmus_mirror_v1_CollectResponse, _isthmus_mirror_v1_CollectResponse__Output>
        DamagedPackage: MessageTypeDefinition<_isthmus_mirror_v1_DamagedPackage, _isthmus_mirror_v1_DamagedPackage__Output>
        KeepPayload: MessageTypeDefinition<_isthmus_mirror_v1_KeepPayload, _isthmus_mirror_v1_KeepPayload__Output>
        KeepResponse: MessageTypeDefinition<_isthmus_mirror_v1_KeepResponse, _isthmus_mirror_v1_KeepResponse__Output>
        Lease: MessageTypeDefinition<_isthmus_mirror_v1_Lease, _isthmus_mirror_v1_Lease__Output>
        ListRequest: MessageTypeDefinition<_isthmus_mirror_v1_ListRequest, _isthmus_mirror_v1_ListRequest__Output>
        Mirror: SubtypeConstructor<typeof grpc.Client, _isthmus_mirror_v1_MirrorClient> & { service: _isthmus_mirror_v1_MirrorDefinition }
        MirrorStatus: MessageTypeDefinition<_isthmus_mirror_v1_MirrorStatus, _isthmus_mirror_v1_MirrorStatus__Output>
        Removed: MessageTypeDefinition<_isthmus_mirror_v1_Removed, _isthmus_mirror_v1_Removed__Output>
        StatusRequest: MessageTypeDefinition<_isthmus_mirror_v1_StatusRequest, _isthmus_mirror_v1_StatusRequest__Output>
        StoredPackage: MessageTypeDefinition<_isthmus_mirror_v1_StoredPackage, _isthmus_mirror_v1_StoredPackage__Output>
        StoredPackages: MessageTypeDefinition<_isthmus_mirror_v1_StoredPackages, _isthmus_mirror_v1_StoredPackages__Output>
        VerifyPayload: MessageTypeDefinition<_isthmus_mirror_v1_VerifyPayload, _isthmus_mirror_v1_VerifyPayload__Output>
        VerifyResponse: MessageTypeDefinition<_isthmus_mirror_v1_VerifyResponse, _isthmus_mirror_v1_VerifyResponse__Output>
        WarmPayload: MessageTypeDefinition<_isthmus_mirror_v1_WarmPayload, _isthmus_mirror_v1_WarmPayload__Output>
        WarmProgress: MessageTypeDefinition<_isthmus_mirror_v1_WarmProgress, _isthmus_mirror_v1_WarmProgress__Output>
      }
    }
    tentacle: {
      v1: {
        AcquireProgress: MessageTypeDefinition<_isthmus_tentacle_v1_AcquireProgress, _isthmus_tentacle_v1_AcquireProgress__Output>
        CancelPayload: MessageTypeDefinition<_isthmus_tentacle_v1_CancelPayload, _isthmus_tentacle_v1_CancelPayload__Output>
        CancelScriptRequest: MessageTypeDefinition<_isthmus_tentacle_v1_CancelScriptRequest, _isthmus_tentacle_v1_CancelScriptRequest__Output>
        Envelope: MessageTypeDefinition<_isthmus_tentacle_v1_Envelope, _isthmus_tentacle_v1_Envelope__Output>
        EnvelopeBody: MessageTypeDefinition<_isthmus_tentacle_v1_EnvelopeBody, _isthmus_tentacle_v1_EnvelopeBody__Output>
        EnvelopeRequest: MessageTypeDefinition<_isthmus_tentacle_v1_EnvelopeRequest, _isthmus_tentacle_v1_EnvelopeRequest__Output>
        FailedSource: MessageTypeDefinition<_isthmus_tentacle_v1_FailedSource, _isthmus_tentacle_v1_FailedSource__Output>
        HealthRequest: MessageTypeDefinition<_isthmus_tentacle_v1_HealthRequest, _isthmus_tentacle_v1_HealthRequest__Output>
        Installation: MessageTypeDefinition<_isthmus_tentacle_v1_Installation, _isthmus_tentacle_v1_Installation__Output>
        LineEnding: EnumTypeDefinition
        LogBatch: MessageTypeDefinition<_isthmus_tentacle_v1_LogBatch, _isthmus_tentacle_v1_LogBatch__Output>
        LogLine: MessageTypeDefinition<_isthmus_tentacle_v1_LogLine, _isthmus_tentacle_v1_LogLine__Output>
        LogRequest: MessageTypeDefinition<_isthmus_tentacle_v1_LogRequest, _isthmus_tentacle_v1_LogRequest__Output>
        PackagePayload: MessageTypeDefinition<_isthmus_tentacle_v1_PackagePayload, _isthmus_tentacle_v1_PackagePayload__Output>
        PackageRef: MessageTypeDefinition<_isthmus_tentacle_v1_PackageRef, _isthmus_tentacle_v1_PackageRef__Output>
        PackageStatus: MessageTypeDefinition<_isthmus_tentacle_v1_PackageStatus, _isthmus_tentacle_v1_PackageStatus__Output>
        PackageWarning: MessageTypeDefinition<_isthmus_tentacle_v1_PackageWarning, _isthmus_tentacle_v1_PackageWarning__Output>
        ScriptPayload: MessageTypeDefinition<_isthmus_tentacle_v1_ScriptPayload, _isthmus_tentacle_v1_ScriptPayload__Output>
        ScriptPhase: EnumTypeDefinition
        ScriptStatus: MessageTypeDefinition<_isthmus_tentacle_v1_ScriptStatus, _isthmus_tentacle_v1_ScriptStatus__Output>
        SignerStatement: MessageTypeDefinition<_isthmus_tentacle_v1_SignerStatement, _isthmus_tentacle_v1_SignerStatement__Output>
        SubstitutionRule: MessageTypeDefinition<_isthmus_tentacle_v1_SubstitutionRule, _isthmus_tentacle_v1_SubstitutionRule__Output>
        Tentacle: SubtypeConstructor<typeof grpc.Client, _isthmus_tentacle_v1_TentacleClient> & { service: _isthmus_tentacle_v1_TentacleDefinition }
        TicketRequest: MessageTypeDefinition<_isthmus_tentacle_v1_TicketRequest, _isthmus_tentacle_v1_TicketRequest__Output>
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


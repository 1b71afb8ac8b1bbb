// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AcquireProgress as _isthmus_tentacle_v1_AcquireProgress, AcquireProgress__Output as _isthmus_tentacle_v1_AcquireProgress__Output } from '../../../isthmus/tentacle/v1/AcquireProgress.ts';
import type { CancelScriptRequest as _isthmus_tentacle_v1_CancelScriptRequest, CancelScriptRequest__Output as _isthmus_tentacle_v1_CancelScriptRequest__Output } from '../../../isthmus/tentacle/v1/CancelScriptRequest.ts';
import type { EnvelopeRequest as _isthmus_tentacle_v1_EnvelopeRequest, EnvelopeRequest__Output as _isthmus_tentacle_v1_EnvelopeRequest__Output } from '../../../isthmus/tentacle/v1/EnvelopeRequest.ts';
import type { HealthReport as _isthmus_health_v1_HealthReport, HealthReport__Output as _isthmus_health_v1_HealthReport__Output } from '../../../isthmus/health/v1/HealthReport.ts';
import type { HealthRequest as _isthmus_tentacle_v1_HealthRequest, HealthRequest__Output as _isthmus_tentacle_v1_HealthRequest__Output } from '../../../isthmus/tentacle/v1/HealthRequest.ts';
import type { LogBatch as _isthmus_tentacle_v1_LogBatch, LogBatch__Output as _isthmus_tentacle_v1_LogBatch__Output } from '../../../isthmus/tentacle/v1/LogBatch.ts';
import type { LogRequest as _isthmus_tentacle_v1_LogRequest, LogRequest__Output as _isthmus_tentacle_v1_LogRequest__Output } from '../../../isthmus/tentacle/v1/LogRequest.ts';
import type { PackageStatus as _isthmus_tentacle_v1_PackageStatus, PackageStatus__Output as _isthmus_tentacle_v1_PackageStatus__Output } from '../../../isthmus/tentacle/v1/PackageStatus.ts';
import type { ScriptStatus as _isthmus_tentacle_v1_ScriptStatus, ScriptStatus__Output as _isthmus_tentacle_v1_ScriptStatus__Output } from '../../../isthmus/tentacle/v1/ScriptStatus.ts';
import type { TicketRequest as _isthmus_tentacle_v1_TicketRequest, TicketRequest__Output as _isthmus_tentacle_v1_TicketRequest__Output } from '../../../isthmus/tentacle/v1/TicketRequest.ts';

export interface TentacleClient extends grpc.Client {
  /**
   * Fetches a package into the tentacle's cache, with progress. Idempotent by digest.
   */
  AcquirePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_isthmus_tentacle_v1_AcquireProgress__Output>;
  AcquirePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_isthmus_tentacle_v1_AcquireProgress__Output>;
  /**
   * Fetches a package into the tentacle's cache, with progress. Idempotent by digest.
   */
  acquirePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_isthmus_tentacle_v1_AcquireProgress__Output>;
  acquirePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_isthmus_tentacle_v1_AcquireProgress__Output>;
  
  /**
   * Switches `current` to the release that the same task has staged, atomically. `previous` is then the last release
   * whose step succeeded, if there is another one. Idempotent.
   */
  ActivatePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  ActivatePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  ActivatePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  ActivatePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  /**
   * Switches `current` to the release that the same task has staged, atomically. `previous` is then the last release
   * whose step succeeded, if there is another one. Idempotent.
   */
  activatePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  activatePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  activatePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  activatePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  
  /**
   * Kills the whole process group, or stops an order for a package up to its switch: that one's own answer is CANCELLED
   * and tells what is installed. Idempotent. An unknown ticket is consumed: a later start of it is rejected, as is a later
   * order for a package.
   */
  CancelScript(argument: _isthmus_tentacle_v1_CancelScriptRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  CancelScript(argument: _isthmus_tentacle_v1_CancelScriptRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  CancelScript(argument: _isthmus_tentacle_v1_CancelScriptRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  CancelScript(argument: _isthmus_tentacle_v1_CancelScriptRequest, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  /**
   * Kills the whole process group, or stops an order for a package up to its switch: that one's own answer is CANCELLED
   * and tells what is installed. Idempotent. An unknown ticket is consumed: a later start of it is rejected, as is a later
   * order for a package.
   */
  cancelScript(argument: _isthmus_tentacle_v1_CancelScriptRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  cancelScript(argument: _isthmus_tentacle_v1_CancelScriptRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  cancelScript(argument: _isthmus_tentacle_v1_CancelScriptRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  cancelScript(argument: _isthmus_tentacle_v1_CancelScriptRequest, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  
  /**
   * Answered without the script engine.
   */
  CheckHealth(argument: _isthmus_tentacle_v1_HealthRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_health_v1_HealthReport__Output>): grpc.ClientUnaryCall;
  CheckHealth(argument: _isthmus_tentacle_v1_HealthRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_health_v1_HealthReport__Output>): grpc.ClientUnaryCall;
  CheckHealth(argument: _isthmus_tentacle_v1_HealthRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_health_v1_HealthReport__Output>): grpc.ClientUnaryCall;
  CheckHealth(argument: _isthmus_tentacle_v1_HealthRequest, callback: grpc.requestCallback<_isthmus_health_v1_HealthReport__Output>): grpc.ClientUnaryCall;
  /**
   * Answered without the script engine.
   */
  checkHealth(argument: _isthmus_tentacle_v1_HealthRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_health_v1_HealthReport__Output>): grpc.ClientUnaryCall;
  checkHealth(argument: _isthmus_tentacle_v1_HealthRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_health_v1_HealthReport__Output>): grpc.ClientUnaryCall;
  checkHealth(argument: _isthmus_tentacle_v1_HealthRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_health_v1_HealthReport__Output>): grpc.ClientUnaryCall;
  checkHealth(argument: _isthmus_tentacle_v1_HealthRequest, callback: grpc.requestCallback<_isthmus_health_v1_HealthReport__Output>): grpc.ClientUnaryCall;
  
  /**
   * The server has stored the end and the whole log: the workspace may go, a tombstone stays. Idempotent.
   */
  CompleteScript(argument: _isthmus_tentacle_v1_TicketRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  CompleteScript(argument: _isthmus_tentacle_v1_TicketRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  CompleteScript(argument: _isthmus_tentacle_v1_TicketRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  CompleteScript(argument: _isthmus_tentacle_v1_TicketRequest, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  /**
   * The server has stored the end and the whole log: the workspace may go, a tombstone stays. Idempotent.
   */
  completeScript(argument: _isthmus_tentacle_v1_TicketRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  completeScript(argument: _isthmus_tentacle_v1_TicketRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  completeScript(argument: _isthmus_tentacle_v1_TicketRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  completeScript(argument: _isthmus_tentacle_v1_TicketRequest, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  
  GetScript(argument: _isthmus_tentacle_v1_TicketRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  GetScript(argument: _isthmus_tentacle_v1_TicketRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  GetScript(argument: _isthmus_tentacle_v1_TicketRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  GetScript(argument: _isthmus_tentacle_v1_TicketRequest, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  getScript(argument: _isthmus_tentacle_v1_TicketRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  getScript(argument: _isthmus_tentacle_v1_TicketRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  getScript(argument: _isthmus_tentacle_v1_TicketRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  getScript(argument: _isthmus_tentacle_v1_TicketRequest, callback: grpc.requestCallback<_isthmus_tentacle_v1_ScriptStatus__Output>): grpc.ClientUnaryCall;
  
  /**
   * Starts a script, once per ticket for ever, and streams its log: the first request carries the envelope, the first
   * batch the state it left; the rest is as StreamLogs. A repeated start answers the present state.
   */
  RunScript(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_tentacle_v1_LogRequest, _isthmus_tentacle_v1_LogBatch__Output>;
  RunScript(options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_tentacle_v1_LogRequest, _isthmus_tentacle_v1_LogBatch__Output>;
  /**
   * Starts a script, once per ticket for ever, and streams its log: the first request carries the envelope, the first
   * batch the state it left; the rest is as StreamLogs. A repeated start answers the present state.
   */
  runScript(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_tentacle_v1_LogRequest, _isthmus_tentacle_v1_LogBatch__Output>;
  runScript(options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_tentacle_v1_LogRequest, _isthmus_tentacle_v1_LogBatch__Output>;
  
  /**
   * The step has succeeded with the release: keeps it with the few that succeeded before, and removes all others. Or, with
   * `revert`: switches back to the last release that succeeded. Idempotent.
   */
  SettlePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  SettlePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  SettlePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  SettlePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  /**
   * The step has succeeded with the release: keeps it with the few that succeeded before, and removes all others. Or, with
   * `revert`: switches back to the last release that succeeded. Idempotent.
   */
  settlePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  settlePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  settlePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  settlePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  
  /**
   * Unpacks an acquired package into a staging folder and substitutes variables in the named files. Idempotent.
   */
  StagePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  StagePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  StagePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  StagePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  /**
   * Unpacks an acquired package into a staging folder and substitutes variables in the named files. Idempotent.
   */
  stagePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  stagePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  stagePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  stagePackage(argument: _isthmus_tentacle_v1_EnvelopeRequest, callback: grpc.requestCallback<_isthmus_tentacle_v1_PackageStatus__Output>): grpc.ClientUnaryCall;
  
  /**
   * Lines from `after_line` + 1 on; the server acknowledges what it has stored. Ends after the last line of an ended
   * script.
   */
  StreamLogs(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_tentacle_v1_LogRequest, _isthmus_tentacle_v1_LogBatch__Output>;
  StreamLogs(options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_tentacle_v1_LogRequest, _isthmus_tentacle_v1_LogBatch__Output>;
  /**
   * Lines from `after_line` + 1 on; the server acknowledges what it has stored. Ends after the last line of an ended
   * script.
   */
  streamLogs(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_tentacle_v1_LogRequest, _isthmus_tentacle_v1_LogBatch__Output>;
  streamLogs(options?: grpc.CallOptions): grpc.ClientDuplexStream<_isthmus_tentacle_v1_LogRequest, _isthmus_tentacle_v1_LogBatch__Output>;
  
}

export interface TentacleHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Fetches a package into the tentacle's cache, with progress. Idempotent by digest.
   */
  AcquirePackage: grpc.handleServerStreamingCall<_isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_tentacle_v1_AcquireProgress>;
  
  /**
   * Switches `current` to the release that the same task has staged, atomically. `previous` is then the last release
   * whose step succeeded, if there is another one. Idempotent.
   */
  ActivatePackage: grpc.handleUnaryCall<_isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_tentacle_v1_PackageStatus>;
  
  /**
   * Kills the whole process group, or stops an order for a package up to its switch: that one's own answer is CANCELLED
   * and tells what is installed. Idempotent. An unknown ticket is consumed: a later start of it is rejected, as is a later
   * order for a package.
   */
  CancelScript: grpc.handleUnaryCall<_isthmus_tentacle_v1_CancelScriptRequest__Output, _isthmus_tentacle_v1_ScriptStatus>;
  
  /**
   * Answered without the script engine.
   */
  CheckHealth: grpc.handleUnaryCall<_isthmus_tentacle_v1_HealthRequest__Output, _isthmus_health_v1_HealthReport>;
  
  /**
   * The server has stored the end and the whole log: the workspace may go, a tombstone stays. Idempotent.
   */
  CompleteScript: grpc.handleUnaryCall<_isthmus_tentacle_v1_TicketRequest__Output, _isthmus_tentacle_v1_ScriptStatus>;
  
  GetScript: grpc.handleUnaryCall<_isthmus_tentacle_v1_TicketRequest__Output, _isthmus_tentacle_v1_ScriptStatus>;
  
  /**
   * Starts a script, once per ticket for ever, and streams its log: the first request carries the envelope, the first
   * batch the state it left; the rest is as StreamLogs. A repeated start answers the present state.
   */
  RunScript: grpc.handleBidiStreamingCall<_isthmus_tentacle_v1_LogRequest__Output, _isthmus_tentacle_v1_LogBatch>;
  
  /**
   * The step has succeeded with the release: keeps it with the few that succeeded before, and removes all others. Or, with
   * `revert`: switches back to the last release that succeeded. Idempotent.
   */
  SettlePackage: grpc.handleUnaryCall<_isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_tentacle_v1_PackageStatus>;
  
  /**
   * Unpacks an acquired package into a staging folder and substitutes variables in the named files. Idempotent.
   */
  StagePackage: grpc.handleUnaryCall<_isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_tentacle_v1_PackageStatus>;
  
  /**
   * Lines from `after_line` + 1 on; the server acknowledges what it has stored. Ends after the last line of an ended
   * script.
   */
  StreamLogs: grpc.handleBidiStreamingCall<_isthmus_tentacle_v1_LogRequest__Output, _isthmus_tentacle_v1_LogBatch>;
  
}

export interface TentacleDefinition extends grpc.ServiceDefinition {
  AcquirePackage: MethodDefinition<_isthmus_tentacle_v1_EnvelopeRequest, _isthmus_tentacle_v1_AcquireProgress, _isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_tentacle_v1_AcquireProgress__Output>
  ActivatePackage: MethodDefinition<_isthmus_tentacle_v1_EnvelopeRequest, _isthmus_tentacle_v1_PackageStatus, _isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_tentacle_v1_PackageStatus__Output>
  CancelScript: MethodDefinition<_isthmus_tentacle_v1_CancelScriptRequest, _isthmus_tentacle_v1_ScriptStatus, _isthmus_tentacle_v1_CancelScriptRequest__Output, _isthmus_tentacle_v1_ScriptStatus__Output>
  CheckHealth: MethodDefinition<_isthmus_tentacle_v1_HealthRequest, _isthmus_health_v1_HealthReport, _isthmus_tentacle_v1_HealthRequest__Output, _isthmus_health_v1_HealthReport__Output>
  CompleteScript: MethodDefinition<_isthmus_tentacle_v1_TicketRequest, _isthmus_tentacle_v1_ScriptStatus, _isthmus_tentacle_v1_TicketRequest__Output, _isthmus_tentacle_v1_ScriptStatus__Output>
  GetScript: MethodDefinition<_isthmus_tentacle_v1_TicketRequest, _isthmus_tentacle_v1_ScriptStatus, _isthmus_tentacle_v1_TicketRequest__Output, _isthmus_tentacle_v1_ScriptStatus__Output>
  RunScript: MethodDefinition<_isthmus_tentacle_v1_LogRequest, _isthmus_tentacle_v1_LogBatch, _isthmus_tentacle_v1_LogRequest__Output, _isthmus_tentacle_v1_LogBatch__Output>
  SettlePackage: MethodDefinition<_isthmus_tentacle_v1_EnvelopeRequest, _isthmus_tentacle_v1_PackageStatus, _isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_tentacle_v1_PackageStatus__Output>
  StagePackage: MethodDefinition<_isthmus_tentacle_v1_EnvelopeRequest, _isthmus_tentacle_v1_PackageStatus, _isthmus_tentacle_v1_EnvelopeRequest__Output, _isthmus_tentacle_v1_PackageStatus__Output>
  StreamLogs: MethodDefinition<_isthmus_tentacle_v1_LogRequest, _isthmus_tentacle_v1_LogBatch, _isthmus_tentacle_v1_LogRequest__Output, _isthmus_tentacle_v1_LogBatch__Output>
}

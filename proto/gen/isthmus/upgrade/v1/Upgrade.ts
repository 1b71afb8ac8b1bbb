// Original file: proto/isthmus/upgrade/v1/upgrade.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { BeginRequest as _isthmus_upgrade_v1_BeginRequest, BeginRequest__Output as _isthmus_upgrade_v1_BeginRequest__Output } from '../../../isthmus/upgrade/v1/BeginRequest.ts';
import type { ConfirmRequest as _isthmus_upgrade_v1_ConfirmRequest, ConfirmRequest__Output as _isthmus_upgrade_v1_ConfirmRequest__Output } from '../../../isthmus/upgrade/v1/ConfirmRequest.ts';
import type { StatusRequest as _isthmus_upgrade_v1_StatusRequest, StatusRequest__Output as _isthmus_upgrade_v1_StatusRequest__Output } from '../../../isthmus/upgrade/v1/StatusRequest.ts';
import type { UpgradeStatus as _isthmus_upgrade_v1_UpgradeStatus, UpgradeStatus__Output as _isthmus_upgrade_v1_UpgradeStatus__Output } from '../../../isthmus/upgrade/v1/UpgradeStatus.ts';
import type { WithdrawRequest as _isthmus_upgrade_v1_WithdrawRequest, WithdrawRequest__Output as _isthmus_upgrade_v1_WithdrawRequest__Output } from '../../../isthmus/upgrade/v1/WithdrawRequest.ts';

export interface UpgradeClient extends grpc.Client {
  /**
   * Begins an upgrade, and answers its state. Idempotent by id: an upgrade that has begun goes on. One whose download
   * has failed begins anew, and resumes where it stopped.
   */
  Begin(argument: _isthmus_upgrade_v1_BeginRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  Begin(argument: _isthmus_upgrade_v1_BeginRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  Begin(argument: _isthmus_upgrade_v1_BeginRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  Begin(argument: _isthmus_upgrade_v1_BeginRequest, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  /**
   * Begins an upgrade, and answers its state. Idempotent by id: an upgrade that has begun goes on. One whose download
   * has failed begins anew, and resumes where it stopped.
   */
  begin(argument: _isthmus_upgrade_v1_BeginRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  begin(argument: _isthmus_upgrade_v1_BeginRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  begin(argument: _isthmus_upgrade_v1_BeginRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  begin(argument: _isthmus_upgrade_v1_BeginRequest, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  
  /**
   * The new version works: the host keeps it. Only the new version takes this.
   */
  Confirm(argument: _isthmus_upgrade_v1_ConfirmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  Confirm(argument: _isthmus_upgrade_v1_ConfirmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  Confirm(argument: _isthmus_upgrade_v1_ConfirmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  Confirm(argument: _isthmus_upgrade_v1_ConfirmRequest, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  /**
   * The new version works: the host keeps it. Only the new version takes this.
   */
  confirm(argument: _isthmus_upgrade_v1_ConfirmRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  confirm(argument: _isthmus_upgrade_v1_ConfirmRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  confirm(argument: _isthmus_upgrade_v1_ConfirmRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  confirm(argument: _isthmus_upgrade_v1_ConfirmRequest, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  
  Status(argument: _isthmus_upgrade_v1_StatusRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  Status(argument: _isthmus_upgrade_v1_StatusRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  Status(argument: _isthmus_upgrade_v1_StatusRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  Status(argument: _isthmus_upgrade_v1_StatusRequest, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  status(argument: _isthmus_upgrade_v1_StatusRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  status(argument: _isthmus_upgrade_v1_StatusRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  status(argument: _isthmus_upgrade_v1_StatusRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  status(argument: _isthmus_upgrade_v1_StatusRequest, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  
  /**
   * Ends an upgrade that the host has not begun to carry out; any other goes on. Idempotent.
   */
  Withdraw(argument: _isthmus_upgrade_v1_WithdrawRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  Withdraw(argument: _isthmus_upgrade_v1_WithdrawRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  Withdraw(argument: _isthmus_upgrade_v1_WithdrawRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  Withdraw(argument: _isthmus_upgrade_v1_WithdrawRequest, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  /**
   * Ends an upgrade that the host has not begun to carry out; any other goes on. Idempotent.
   */
  withdraw(argument: _isthmus_upgrade_v1_WithdrawRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  withdraw(argument: _isthmus_upgrade_v1_WithdrawRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  withdraw(argument: _isthmus_upgrade_v1_WithdrawRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  withdraw(argument: _isthmus_upgrade_v1_WithdrawRequest, callback: grpc.requestCallback<_isthmus_upgrade_v1_UpgradeStatus__Output>): grpc.ClientUnaryCall;
  
}

export interface UpgradeHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Begins an upgrade, and answers its state. Idempotent by id: an upgrade that has begun goes on. One whose download
   * has failed begins anew, and resumes where it stopped.
   */
  Begin: grpc.handleUnaryCall<_isthmus_upgrade_v1_BeginRequest__Output, _isthmus_upgrade_v1_UpgradeStatus>;
  
  /**
   * The new version works: the host keeps it. Only the new version takes this.
   */
  Confirm: grpc.handleUnaryCall<_isthmus_upgrade_v1_ConfirmRequest__Output, _isthmus_upgrade_v1_UpgradeStatus>;
  
  Status: grpc.handleUnaryCall<_isthmus_upgrade_v1_StatusRequest__Output, _isthmus_upgrade_v1_UpgradeStatus>;
  
  /**
   * Ends an upgrade that the host has not begun to carry out; any other goes on. Idempotent.
   */
  Withdraw: grpc.handleUnaryCall<_isthmus_upgrade_v1_WithdrawRequest__Output, _isthmus_upgrade_v1_UpgradeStatus>;
  
}

export interface UpgradeDefinition extends grpc.ServiceDefinition {
  Begin: MethodDefinition<_isthmus_upgrade_v1_BeginRequest, _isthmus_upgrade_v1_UpgradeStatus, _isthmus_upgrade_v1_BeginRequest__Output, _isthmus_upgrade_v1_UpgradeStatus__Output>
  Confirm: MethodDefinition<_isthmus_upgrade_v1_ConfirmRequest, _isthmus_upgrade_v1_UpgradeStatus, _isthmus_upgrade_v1_ConfirmRequest__Output, _isthmus_upgrade_v1_UpgradeStatus__Output>
  Status: MethodDefinition<_isthmus_upgrade_v1_StatusRequest, _isthmus_upgrade_v1_UpgradeStatus, _isthmus_upgrade_v1_StatusRequest__Output, _isthmus_upgrade_v1_UpgradeStatus__Output>
  Withdraw: MethodDefinition<_isthmus_upgrade_v1_WithdrawRequest, _isthmus_upgrade_v1_UpgradeStatus, _isthmus_upgrade_v1_WithdrawRequest__Output, _isthmus_upgrade_v1_UpgradeStatus__Output>
}

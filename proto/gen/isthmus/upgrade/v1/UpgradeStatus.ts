// Original file: proto/isthmus/upgrade/v1/upgrade.proto

import type { UpgradePhase as _isthmus_upgrade_v1_UpgradePhase, UpgradePhase__Output as _isthmus_upgrade_v1_UpgradePhase__Output } from '../../../isthmus/upgrade/v1/UpgradePhase.ts';
import type { Long } from '@grpc/proto-loader';

export interface UpgradeStatus {
  /**
   * What runs now.
   */
  'softwareVersion'?: (string);
  /**
   * As Node.js names it: x64, arm64.
   */
  'architecture'?: (string);
  /**
   * Why this node cannot be upgraded by the mesh; empty when it can.
   */
  'unsupported'?: (string);
  /**
   * Of the upgrade that the request names.
   */
  'phase'?: (_isthmus_upgrade_v1_UpgradePhase);
  /**
   * A code of docs/errors.md.
   */
  'code'?: (string);
  'detail'?: (string);
  'receivedBytes'?: (number | string | Long);
  'totalBytes'?: (number | string | Long);
  /**
   * The node that sends, or sent, the tarball.
   */
  'from'?: (string);
}

export interface UpgradeStatus__Output {
  /**
   * What runs now.
   */
  'softwareVersion': (string);
  /**
   * As Node.js names it: x64, arm64.
   */
  'architecture': (string);
  /**
   * Why this node cannot be upgraded by the mesh; empty when it can.
   */
  'unsupported': (string);
  /**
   * Of the upgrade that the request names.
   */
  'phase': (_isthmus_upgrade_v1_UpgradePhase__Output);
  /**
   * A code of docs/errors.md.
   */
  'code': (string);
  'detail': (string);
  'receivedBytes': (number);
  'totalBytes': (number);
  /**
   * The node that sends, or sent, the tarball.
   */
  'from': (string);
}

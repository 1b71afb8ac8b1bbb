// Original file: proto/isthmus/upgrade/v1/upgrade.proto

export const UpgradePhase = {
  /**
   * This node knows nothing of the upgrade.
   */
  UPGRADE_PHASE_UNSPECIFIED: 'UPGRADE_PHASE_UNSPECIFIED',
  /**
   * The node runs the version already, and nothing was changed.
   */
  ALREADY_THERE: 'ALREADY_THERE',
  FETCHING: 'FETCHING',
  /**
   * The tarball is there and its signature is right; the host has not begun.
   */
  ORDERED: 'ORDERED',
  UNPACKING: 'UNPACKING',
  RESTARTING: 'RESTARTING',
  AWAITING_CONFIRMATION: 'AWAITING_CONFIRMATION',
  CONFIRMED: 'CONFIRMED',
  /**
   * As WENT_BACK, but not yet.
   */
  GOING_BACK: 'GOING_BACK',
  /**
   * The host runs the version before again; `code` says why.
   */
  WENT_BACK: 'WENT_BACK',
  /**
   * Nothing was switched; `code` says why.
   */
  FAILED: 'FAILED',
} as const;

export type UpgradePhase =
  /**
   * This node knows nothing of the upgrade.
   */
  | 'UPGRADE_PHASE_UNSPECIFIED'
  | 0
  /**
   * The node runs the version already, and nothing was changed.
   */
  | 'ALREADY_THERE'
  | 1
  | 'FETCHING'
  | 2
  /**
   * The tarball is there and its signature is right; the host has not begun.
   */
  | 'ORDERED'
  | 3
  | 'UNPACKING'
  | 4
  | 'RESTARTING'
  | 5
  | 'AWAITING_CONFIRMATION'
  | 6
  | 'CONFIRMED'
  | 7
  /**
   * As WENT_BACK, but not yet.
   */
  | 'GOING_BACK'
  | 8
  /**
   * The host runs the version before again; `code` says why.
   */
  | 'WENT_BACK'
  | 9
  /**
   * Nothing was switched; `code` says why.
   */
  | 'FAILED'
  | 10

export type UpgradePhase__Output = typeof UpgradePhase[keyof typeof UpgradePhase]

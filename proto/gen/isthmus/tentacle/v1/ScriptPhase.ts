// Original file: proto/isthmus/tentacle/v1/tentacle.proto

export const ScriptPhase = {
  SCRIPT_PHASE_UNSPECIFIED: 'SCRIPT_PHASE_UNSPECIFIED',
  /**
   * Waits for the isolation lock; `held_by` names the holder's task.
   */
  WAITING: 'WAITING',
  RUNNING: 'RUNNING',
  EXITED: 'EXITED',
  CANCELLED: 'CANCELLED',
  TIMED_OUT: 'TIMED_OUT',
  /**
   * What happened cannot be known: it is never guessed and never retried automatically.
   */
  INTERRUPTED: 'INTERRUPTED',
  /**
   * A tombstone: ended and completed.
   */
  COMPLETED: 'COMPLETED',
} as const;

export type ScriptPhase =
  | 'SCRIPT_PHASE_UNSPECIFIED'
  | 0
  /**
   * Waits for the isolation lock; `held_by` names the holder's task.
   */
  | 'WAITING'
  | 1
  | 'RUNNING'
  | 2
  | 'EXITED'
  | 3
  | 'CANCELLED'
  | 4
  | 'TIMED_OUT'
  | 5
  /**
   * What happened cannot be known: it is never guessed and never retried automatically.
   */
  | 'INTERRUPTED'
  | 6
  /**
   * A tombstone: ended and completed.
   */
  | 'COMPLETED'
  | 7

export type ScriptPhase__Output = typeof ScriptPhase[keyof typeof ScriptPhase]

// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { ScriptPhase as _isthmus_tentacle_v1_ScriptPhase, ScriptPhase__Output as _isthmus_tentacle_v1_ScriptPhase__Output } from '../../../isthmus/tentacle/v1/ScriptPhase.ts';
import type { Long } from '@grpc/proto-loader';

export interface ScriptStatus {
  'ticket'?: (string);
  'phase'?: (_isthmus_tentacle_v1_ScriptPhase);
  /**
   * Once the script has ended and how is known. 128 and the signal's number when a signal ended it.
   */
  'exitCode'?: (number);
  'heldBy'?: (string);
  'lastLine'?: (number | string | Long);
  'startedAtMs'?: (number | string | Long);
  'endedAtMs'?: (number | string | Long);
  /**
   * A code of the error catalogue and a sentence, when the end was not the script's own.
   */
  'errorCode'?: (string);
  'errorDetail'?: (string);
  /**
   * The number of the signal that ended the script; 0 for none.
   */
  'signal'?: (number);
  '_exitCode'?: "exitCode";
}

export interface ScriptStatus__Output {
  'ticket': (string);
  'phase': (_isthmus_tentacle_v1_ScriptPhase__Output);
  /**
   * Once the script has ended and how is known. 128 and the signal's number when a signal ended it.
   */
  'exitCode'?: (number);
  'heldBy': (string);
  'lastLine': (number);
  'startedAtMs': (number);
  'endedAtMs': (number);
  /**
   * A code of the error catalogue and a sentence, when the end was not the script's own.
   */
  'errorCode': (string);
  'errorDetail': (string);
  /**
   * The number of the signal that ended the script; 0 for none.
   */
  'signal': (number);
  '_exitCode'?: "exitCode";
}

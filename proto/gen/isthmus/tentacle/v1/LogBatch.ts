// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { LogLine as _isthmus_tentacle_v1_LogLine, LogLine__Output as _isthmus_tentacle_v1_LogLine__Output } from '../../../isthmus/tentacle/v1/LogLine.ts';
import type { ScriptStatus as _isthmus_tentacle_v1_ScriptStatus, ScriptStatus__Output as _isthmus_tentacle_v1_ScriptStatus__Output } from '../../../isthmus/tentacle/v1/ScriptStatus.ts';
import type { Long } from '@grpc/proto-loader';

export interface LogBatch {
  'ticket'?: (string);
  /**
   * The number of lines[0]; lines are numbered from 1 without gaps.
   */
  'firstLine'?: (number | string | Long);
  'lines'?: (_isthmus_tentacle_v1_LogLine)[];
  /**
   * Set on the last batch, once the script has ended and every line was sent.
   */
  'end'?: (_isthmus_tentacle_v1_ScriptStatus | null);
  /**
   * Set on the first batch of RunScript, which has no lines.
   */
  'started'?: (_isthmus_tentacle_v1_ScriptStatus | null);
}

export interface LogBatch__Output {
  'ticket': (string);
  /**
   * The number of lines[0]; lines are numbered from 1 without gaps.
   */
  'firstLine': (number);
  'lines': (_isthmus_tentacle_v1_LogLine__Output)[];
  /**
   * Set on the last batch, once the script has ended and every line was sent.
   */
  'end': (_isthmus_tentacle_v1_ScriptStatus__Output | null);
  /**
   * Set on the first batch of RunScript, which has no lines.
   */
  'started': (_isthmus_tentacle_v1_ScriptStatus__Output | null);
}

// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { Installation as _isthmus_tentacle_v1_Installation, Installation__Output as _isthmus_tentacle_v1_Installation__Output } from '../../../isthmus/tentacle/v1/Installation.ts';

export interface ScriptPayload {
  /**
   * A key of the tentacle's interpreter table: bash, sh or python.
   */
  'interpreter'?: (string);
  'body'?: (string);
  'env'?: ({[key: string]: string});
  /**
   * Values that leave the tentacle only masked.
   */
  'sensitiveValues'?: (string)[];
  /**
   * 0: no limit.
   */
  'timeLimitS'?: (number);
  /**
   * "exclusive" (one at a time on the machine) or "shared".
   */
  'isolation'?: (string);
  /**
   * Absent: the ticket's own workspace. Else the working directory is the release that the ticket's own task staged for
   * this installation, whether it is activated by then or not.
   */
  'installation'?: (_isthmus_tentacle_v1_Installation | null);
}

export interface ScriptPayload__Output {
  /**
   * A key of the tentacle's interpreter table: bash, sh or python.
   */
  'interpreter': (string);
  'body': (string);
  'env': ({[key: string]: string});
  /**
   * Values that leave the tentacle only masked.
   */
  'sensitiveValues': (string)[];
  /**
   * 0: no limit.
   */
  'timeLimitS': (number);
  /**
   * "exclusive" (one at a time on the machine) or "shared".
   */
  'isolation': (string);
  /**
   * Absent: the ticket's own workspace. Else the working directory is the release that the ticket's own task staged for
   * this installation, whether it is activated by then or not.
   */
  'installation': (_isthmus_tentacle_v1_Installation__Output | null);
}

// Original file: proto/isthmus/tentacle/v1/tentacle.proto


export interface ScriptPayload {
  /**
   * A key of the tentacle's interpreter table; "bash" today.
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
   * Empty: the ticket's own workspace. Else the application whose staged or current release is the working directory.
   */
  'application'?: (string);
  /**
   * "staged" or "current".
   */
  'applicationStage'?: (string);
}

export interface ScriptPayload__Output {
  /**
   * A key of the tentacle's interpreter table; "bash" today.
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
   * Empty: the ticket's own workspace. Else the application whose staged or current release is the working directory.
   */
  'application': (string);
  /**
   * "staged" or "current".
   */
  'applicationStage': (string);
}

// Original file: proto/isthmus/mirror/v1/mirror.proto


/**
 * It ends by itself unless it is renewed.
 */
export interface Lease {
  'sha256'?: (string);
  /**
   * The task that needs it.
   */
  'task'?: (string);
  'forS'?: (number);
}

/**
 * It ends by itself unless it is renewed.
 */
export interface Lease__Output {
  'sha256': (string);
  /**
   * The task that needs it.
   */
  'task': (string);
  'forS': (number);
}

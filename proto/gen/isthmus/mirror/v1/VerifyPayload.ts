// Original file: proto/isthmus/mirror/v1/mirror.proto


/**
 * The payload of an envelope of kind "verify".
 */
export interface VerifyPayload {
  /**
   * Fetches what is damaged again.
   */
  'repair'?: (boolean);
}

/**
 * The payload of an envelope of kind "verify".
 */
export interface VerifyPayload__Output {
  /**
   * Fetches what is damaged again.
   */
  'repair': (boolean);
}

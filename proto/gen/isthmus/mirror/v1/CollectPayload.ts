// Original file: proto/isthmus/mirror/v1/mirror.proto


/**
 * The payload of an envelope of kind "collect".
 */
export interface CollectPayload {
  'dryRun'?: (boolean);
}

/**
 * The payload of an envelope of kind "collect".
 */
export interface CollectPayload__Output {
  'dryRun': (boolean);
}

// Original file: proto/isthmus/topology/v1/topology.proto


/**
 * A start of a node that was denied because another start of it is live or known.
 */
export interface DeniedStart {
  'node'?: (string);
  /**
   * In hex.
   */
  'nonce'?: (string);
  'hostname'?: (string);
  /**
   * The address that it came from.
   */
  'address'?: (string);
}

/**
 * A start of a node that was denied because another start of it is live or known.
 */
export interface DeniedStart__Output {
  'node': (string);
  /**
   * In hex.
   */
  'nonce': (string);
  'hostname': (string);
  /**
   * The address that it came from.
   */
  'address': (string);
}

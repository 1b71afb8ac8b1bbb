// Original file: proto/isthmus/mesh/v1/link.proto


/**
 * A certificate shown in a TLS session that began under an earlier one of the same node (compare RFC 9261).
 */
export interface Credential {
  /**
   * DER of the leaf.
   */
  'certificate'?: (Buffer | Uint8Array | string);
  /**
   * By the certificate's key, over keying material that this very session exports for it (RSA-PSS, SHA-256).
   */
  'signature'?: (Buffer | Uint8Array | string);
}

/**
 * A certificate shown in a TLS session that began under an earlier one of the same node (compare RFC 9261).
 */
export interface Credential__Output {
  /**
   * DER of the leaf.
   */
  'certificate': (Buffer);
  /**
   * By the certificate's key, over keying material that this very session exports for it (RSA-PSS, SHA-256).
   */
  'signature': (Buffer);
}

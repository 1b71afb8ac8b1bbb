// Original file: proto/isthmus/mesh/v1/link.proto


/**
 * `statement` is a serialised RevocationStatement; the authority's key signs it (RSA-PSS, SHA-256).
 */
export interface RevocationList {
  'statement'?: (Buffer | Uint8Array | string);
  'signature'?: (Buffer | Uint8Array | string);
}

/**
 * `statement` is a serialised RevocationStatement; the authority's key signs it (RSA-PSS, SHA-256).
 */
export interface RevocationList__Output {
  'statement': (Buffer);
  'signature': (Buffer);
}

// Original file: proto/isthmus/identity/v1/identity.proto


export interface EnrolRequest {
  'tokenId'?: (string);
  /**
   * HMAC-SHA256, key SHA-256(token secret), over the session's exported keying material, the nonce and the SPKI.
   */
  'tokenProof'?: (Buffer | Uint8Array | string);
  /**
   * DER SubjectPublicKeyInfo, RSA-2048 or larger.
   */
  'publicKeySpki'?: (Buffer | Uint8Array | string);
  /**
   * Signature by that key over nonce || exported keying material (RSA-PSS, SHA-256).
   */
  'keyProof'?: (Buffer | Uint8Array | string);
  'name'?: (string);
  'role'?: (string);
  'nonce'?: (Buffer | Uint8Array | string);
  /**
   * The requested site; empty for the token's.
   */
  'site'?: (string);
}

export interface EnrolRequest__Output {
  'tokenId': (string);
  /**
   * HMAC-SHA256, key SHA-256(token secret), over the session's exported keying material, the nonce and the SPKI.
   */
  'tokenProof': (Buffer);
  /**
   * DER SubjectPublicKeyInfo, RSA-2048 or larger.
   */
  'publicKeySpki': (Buffer);
  /**
   * Signature by that key over nonce || exported keying material (RSA-PSS, SHA-256).
   */
  'keyProof': (Buffer);
  'name': (string);
  'role': (string);
  'nonce': (Buffer);
  /**
   * The requested site; empty for the token's.
   */
  'site': (string);
}

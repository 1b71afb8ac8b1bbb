// Original file: proto/isthmus/tentacle/v1/tentacle.proto


/**
 * `body` is a serialised EnvelopeBody; the server node's Ed25519 key signs it. `signer` is a serialised
 * SignerStatement that the authority signed (RSA-PSS, SHA-256).
 */
export interface Envelope {
  'signer'?: (Buffer | Uint8Array | string);
  'signerSignature'?: (Buffer | Uint8Array | string);
  'body'?: (Buffer | Uint8Array | string);
  'signature'?: (Buffer | Uint8Array | string);
}

/**
 * `body` is a serialised EnvelopeBody; the server node's Ed25519 key signs it. `signer` is a serialised
 * SignerStatement that the authority signed (RSA-PSS, SHA-256).
 */
export interface Envelope__Output {
  'signer': (Buffer);
  'signerSignature': (Buffer);
  'body': (Buffer);
  'signature': (Buffer);
}

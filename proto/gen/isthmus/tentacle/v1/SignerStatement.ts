// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { Long } from '@grpc/proto-loader';

export interface SignerStatement {
  'meshId'?: (string);
  'node'?: (string);
  /**
   * Raw 32-byte Ed25519 public key.
   */
  'publicKey'?: (Buffer | Uint8Array | string);
  'notBeforeMs'?: (number | string | Long);
  'notAfterMs'?: (number | string | Long);
}

export interface SignerStatement__Output {
  'meshId': (string);
  'node': (string);
  /**
   * Raw 32-byte Ed25519 public key.
   */
  'publicKey': (Buffer);
  'notBeforeMs': (number);
  'notAfterMs': (number);
}

// Original file: proto/isthmus/identity/v1/identity.proto

import type { Long } from '@grpc/proto-loader';

export interface BeginResponse {
  'nonce'?: (Buffer | Uint8Array | string);
  'serverTimeMs'?: (number | string | Long);
  'meshId'?: (string);
  'authorityPem'?: (string);
}

export interface BeginResponse__Output {
  'nonce': (Buffer);
  'serverTimeMs': (number);
  'meshId': (string);
  'authorityPem': (string);
}

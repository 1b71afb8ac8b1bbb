// Original file: proto/isthmus/identity/v1/identity.proto


export interface BeginRenewalResponse {
  'nonce'?: (Buffer | Uint8Array | string);
}

export interface BeginRenewalResponse__Output {
  'nonce': (Buffer);
}

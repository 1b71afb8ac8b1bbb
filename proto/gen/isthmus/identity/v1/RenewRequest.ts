// Original file: proto/isthmus/identity/v1/identity.proto


export interface RenewRequest {
  'publicKeySpki'?: (Buffer | Uint8Array | string);
  'keyProof'?: (Buffer | Uint8Array | string);
  'nonce'?: (Buffer | Uint8Array | string);
}

export interface RenewRequest__Output {
  'publicKeySpki': (Buffer);
  'keyProof': (Buffer);
  'nonce': (Buffer);
}

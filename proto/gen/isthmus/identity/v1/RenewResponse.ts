// Original file: proto/isthmus/identity/v1/identity.proto


export interface RenewResponse {
  'certificatePem'?: (string);
}

export interface RenewResponse__Output {
  'certificatePem': (string);
}

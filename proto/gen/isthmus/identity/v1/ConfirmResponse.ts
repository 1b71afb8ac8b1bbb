// Original file: proto/isthmus/identity/v1/identity.proto


export interface ConfirmResponse {
  'certificatePem'?: (string);
}

export interface ConfirmResponse__Output {
  'certificatePem': (string);
}

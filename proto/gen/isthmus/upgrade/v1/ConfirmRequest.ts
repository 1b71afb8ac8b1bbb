// Original file: proto/isthmus/upgrade/v1/upgrade.proto


export interface ConfirmRequest {
  'id'?: (string);
}

export interface ConfirmRequest__Output {
  'id': (string);
}

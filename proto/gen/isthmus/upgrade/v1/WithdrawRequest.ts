// Original file: proto/isthmus/upgrade/v1/upgrade.proto


export interface WithdrawRequest {
  'id'?: (string);
}

export interface WithdrawRequest__Output {
  'id': (string);
}

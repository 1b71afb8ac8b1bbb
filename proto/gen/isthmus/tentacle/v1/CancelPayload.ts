// Original file: proto/isthmus/tentacle/v1/tentacle.proto


export interface CancelPayload {
  'reason'?: (string);
}

export interface CancelPayload__Output {
  'reason': (string);
}

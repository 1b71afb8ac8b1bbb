// Original file: proto/isthmus/tentacle/v1/tentacle.proto


export interface FailedPlace {
  'node'?: (string);
  'code'?: (string);
  'detail'?: (string);
}

export interface FailedPlace__Output {
  'node': (string);
  'code': (string);
  'detail': (string);
}

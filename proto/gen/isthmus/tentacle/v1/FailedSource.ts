// Original file: proto/isthmus/tentacle/v1/tentacle.proto


export interface FailedSource {
  'node'?: (string);
  'code'?: (string);
  'detail'?: (string);
}

export interface FailedSource__Output {
  'node': (string);
  'code': (string);
  'detail': (string);
}

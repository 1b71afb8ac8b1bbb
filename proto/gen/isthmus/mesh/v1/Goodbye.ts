// Original file: proto/isthmus/mesh/v1/link.proto


export interface Goodbye {
  'code'?: (string);
  'detail'?: (string);
}

export interface Goodbye__Output {
  'code': (string);
  'detail': (string);
}

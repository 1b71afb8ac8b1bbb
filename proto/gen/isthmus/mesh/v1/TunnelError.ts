// Original file: proto/isthmus/mesh/v1/link.proto


export interface TunnelError {
  'code'?: (string);
  'hop'?: (string);
  'detail'?: (string);
}

export interface TunnelError__Output {
  'code': (string);
  'hop': (string);
  'detail': (string);
}

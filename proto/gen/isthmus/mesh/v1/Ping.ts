// Original file: proto/isthmus/mesh/v1/link.proto

import type { Long } from '@grpc/proto-loader';

export interface Ping {
  'id'?: (number | string | Long);
}

export interface Ping__Output {
  'id': (number);
}

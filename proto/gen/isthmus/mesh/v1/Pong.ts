// Original file: proto/isthmus/mesh/v1/link.proto

import type { Long } from '@grpc/proto-loader';

export interface Pong {
  'id'?: (number | string | Long);
}

export interface Pong__Output {
  'id': (number);
}

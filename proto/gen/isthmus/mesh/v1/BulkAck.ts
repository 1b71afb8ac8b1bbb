// Original file: proto/isthmus/mesh/v1/link.proto

import type { Long } from '@grpc/proto-loader';

export interface BulkAck {
  'tunnelId'?: (Buffer | Uint8Array | string);
  'receivedBytes'?: (number | string | Long);
}

export interface BulkAck__Output {
  'tunnelId': (Buffer);
  'receivedBytes': (number);
}

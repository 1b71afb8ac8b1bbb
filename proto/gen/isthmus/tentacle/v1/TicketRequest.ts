// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { Long } from '@grpc/proto-loader';

export interface TicketRequest {
  'ticket'?: (string);
  'task'?: (string);
  'epoch'?: (number | string | Long);
}

export interface TicketRequest__Output {
  'ticket': (string);
  'task': (string);
  'epoch': (number);
}

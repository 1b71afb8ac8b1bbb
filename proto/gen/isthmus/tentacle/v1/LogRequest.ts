// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { Long } from '@grpc/proto-loader';

export interface LogRequest {
  /**
   * The first request names the ticket and where to begin; later ones only acknowledge.
   */
  'ticket'?: (string);
  'afterLine'?: (number | string | Long);
  'task'?: (string);
  'epoch'?: (number | string | Long);
  'acknowledgedLine'?: (number | string | Long);
  /**
   * With the acknowledgement of the last batch: as CompleteScript. Answered with one more batch, whose end is COMPLETED;
   * who does not know it just ends the stream.
   */
  'complete'?: (boolean);
}

export interface LogRequest__Output {
  /**
   * The first request names the ticket and where to begin; later ones only acknowledge.
   */
  'ticket': (string);
  'afterLine': (number);
  'task': (string);
  'epoch': (number);
  'acknowledgedLine': (number);
  /**
   * With the acknowledgement of the last batch: as CompleteScript. Answered with one more batch, whose end is COMPLETED;
   * who does not know it just ends the stream.
   */
  'complete': (boolean);
}

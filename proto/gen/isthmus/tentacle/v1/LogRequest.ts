// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { Envelope as _isthmus_tentacle_v1_Envelope, Envelope__Output as _isthmus_tentacle_v1_Envelope__Output } from '../../../isthmus/tentacle/v1/Envelope.ts';
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
   * With the acknowledgement of the last batch: completes the script as CompleteScript does. One more batch follows,
   * whose end is COMPLETED.
   */
  'complete'?: (boolean);
  /**
   * In the first request of RunScript only. The envelope names ticket, task and epoch.
   */
  'start'?: (_isthmus_tentacle_v1_Envelope | null);
  /**
   * In the first request: the script may have run in a process whose journal this one lacks. If it has not started here,
   * it never does, and its end is INTERRUPTED.
   */
  'neverStart'?: (boolean);
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
   * With the acknowledgement of the last batch: completes the script as CompleteScript does. One more batch follows,
   * whose end is COMPLETED.
   */
  'complete': (boolean);
  /**
   * In the first request of RunScript only. The envelope names ticket, task and epoch.
   */
  'start': (_isthmus_tentacle_v1_Envelope__Output | null);
  /**
   * In the first request: the script may have run in a process whose journal this one lacks. If it has not started here,
   * it never does, and its end is INTERRUPTED.
   */
  'neverStart': (boolean);
}

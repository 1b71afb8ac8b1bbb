// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { Envelope as _isthmus_tentacle_v1_Envelope, Envelope__Output as _isthmus_tentacle_v1_Envelope__Output } from '../../../isthmus/tentacle/v1/Envelope.ts';

export interface EnvelopeRequest {
  'envelope'?: (_isthmus_tentacle_v1_Envelope | null);
}

export interface EnvelopeRequest__Output {
  'envelope': (_isthmus_tentacle_v1_Envelope__Output | null);
}

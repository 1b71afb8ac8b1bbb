// Original file: proto/isthmus/tentacle/v1/tentacle.proto

import type { Long } from '@grpc/proto-loader';

export interface EnvelopeBody {
  /**
   * The node that it is for: a tentacle, or a mirror.
   */
  'tentacle'?: (string);
  'ticket'?: (string);
  'task'?: (string);
  /**
   * The lease epoch of the task; a tentacle keeps the highest it saw per task and rejects a lower one.
   */
  'epoch'?: (number | string | Long);
  /**
   * Bounds the first start only.
   */
  'expiresAtMs'?: (number | string | Long);
  /**
   * "script", "acquire", "stage", "activate", "settle" or "cancel", for a mirror "warm", "keep", "verify" or
   * "collect": an envelope authorises one kind of call.
   */
  'kind'?: (string);
  'payloadSha256'?: (Buffer | Uint8Array | string);
  /**
   * A serialised ScriptPayload, PackagePayload (acquire, stage, activate, settle) or CancelPayload; for a mirror a
   * payload of mirror.proto.
   */
  'payload'?: (Buffer | Uint8Array | string);
}

export interface EnvelopeBody__Output {
  /**
   * The node that it is for: a tentacle, or a mirror.
   */
  'tentacle': (string);
  'ticket': (string);
  'task': (string);
  /**
   * The lease epoch of the task; a tentacle keeps the highest it saw per task and rejects a lower one.
   */
  'epoch': (number);
  /**
   * Bounds the first start only.
   */
  'expiresAtMs': (number);
  /**
   * "script", "acquire", "stage", "activate", "settle" or "cancel", for a mirror "warm", "keep", "verify" or
   * "collect": an envelope authorises one kind of call.
   */
  'kind': (string);
  'payloadSha256': (Buffer);
  /**
   * A serialised ScriptPayload, PackagePayload (acquire, stage, activate, settle) or CancelPayload; for a mirror a
   * payload of mirror.proto.
   */
  'payload': (Buffer);
}

// The payload of a script order: encoded, decoded, and checked before anything starts.
import { loadDefinitions, messageCodec } from '../../lib/grpc/load.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { ISOLATIONS } from '../../contract/tasks.ts';
import { checkMaskable } from '../../lib/masking/masker.ts';
import type { ScriptPayload } from '../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import type { ScriptPayload__Output } from '../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import { readInstallation } from '../installation.ts';
import type { ScriptSpec } from '../journal/records.ts';
import { checkEnv } from './launch/script-env.ts';

const codec = messageCodec<ScriptPayload, ScriptPayload__Output>(
  loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1.ScriptPayload,
);

export function encodePayload(payload: ScriptPayload): Buffer {
  return codec.encode(payload);
}

/** INVALID_FIELD when the bytes are no payload. */
export function decodePayload(bytes: Buffer): ScriptPayload__Output {
  try {
    return codec.decode(bytes);
  } catch (error) {
    throw new IsthmusError('INVALID_FIELD', 'the payload is not a script payload', { field: 'payload', cause: error });
  }
}

/** The part of a payload that the journal keeps; throws when a field is invalid. */
export function specOf(payload: ScriptPayload__Output, expiresAtMs: number): ScriptSpec {
  checkEnv(payload.env);
  checkMaskable(payload.sensitiveValues);
  const { timeLimitS } = payload;
  const isolation = oneOf('isolation', payload.isolation === '' ? 'exclusive' : payload.isolation, ISOLATIONS);
  const installation = payload.installation === null ? undefined : readInstallation(payload.installation);
  return { isolation, timeLimitS, expiresAtMs, installation };
}

function oneOf<Value extends string>(field: string, value: string, allowed: readonly Value[]): Value {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) {
    throw new IsthmusError('INVALID_FIELD', `${field} is ${JSON.stringify(value)}, not ${allowed.join(' or ')}`, {
      field,
    });
  }
  return found;
}

// Original file: proto/isthmus/mesh/v1/link.proto

import type { Credential as _isthmus_mesh_v1_Credential, Credential__Output as _isthmus_mesh_v1_Credential__Output } from '../../../isthmus/mesh/v1/Credential.ts';

/**
 * The one request of the service `credential`, preceded by its length in four bytes: the endpoint that opened an
 * end-to-end session shows its renewed certificate for that session and requests the other's.
 */
export interface SessionCredential {
  /**
   * 16 bytes that both endpoints export from the end-to-end session.
   */
  'session'?: (Buffer | Uint8Array | string);
  'credential'?: (_isthmus_mesh_v1_Credential | null);
}

/**
 * The one request of the service `credential`, preceded by its length in four bytes: the endpoint that opened an
 * end-to-end session shows its renewed certificate for that session and requests the other's.
 */
export interface SessionCredential__Output {
  /**
   * 16 bytes that both endpoints export from the end-to-end session.
   */
  'session': (Buffer);
  'credential': (_isthmus_mesh_v1_Credential__Output | null);
}

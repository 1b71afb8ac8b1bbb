// Original file: proto/isthmus/mesh/v1/link.proto

import type { Credential as _isthmus_mesh_v1_Credential, Credential__Output as _isthmus_mesh_v1_Credential__Output } from '../../../isthmus/mesh/v1/Credential.ts';

/**
 * The one message of the service `credential`, four bytes of length in front: the calling end of an inner session shows
 * its present certificate for that session and asks for the other end's.
 */
export interface SessionCredential {
  /**
   * 16 bytes that both ends of the inner session export from it.
   */
  'session'?: (Buffer | Uint8Array | string);
  'credential'?: (_isthmus_mesh_v1_Credential | null);
}

/**
 * The one message of the service `credential`, four bytes of length in front: the calling end of an inner session shows
 * its present certificate for that session and asks for the other end's.
 */
export interface SessionCredential__Output {
  /**
   * 16 bytes that both ends of the inner session export from it.
   */
  'session': (Buffer);
  'credential': (_isthmus_mesh_v1_Credential__Output | null);
}

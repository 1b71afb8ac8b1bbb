// Original file: proto/isthmus/mesh/v1/link.proto

import type { TunnelError as _isthmus_mesh_v1_TunnelError, TunnelError__Output as _isthmus_mesh_v1_TunnelError__Output } from '../../../isthmus/mesh/v1/TunnelError.ts';
import type { Credential as _isthmus_mesh_v1_Credential, Credential__Output as _isthmus_mesh_v1_Credential__Output } from '../../../isthmus/mesh/v1/Credential.ts';

export interface SessionCredentialAnswer {
  /**
   * Set when the session is unknown there, or the credential is not valid for it.
   */
  'error'?: (_isthmus_mesh_v1_TunnelError | null);
  'credential'?: (_isthmus_mesh_v1_Credential | null);
}

export interface SessionCredentialAnswer__Output {
  /**
   * Set when the session is unknown there, or the credential is not valid for it.
   */
  'error': (_isthmus_mesh_v1_TunnelError__Output | null);
  'credential': (_isthmus_mesh_v1_Credential__Output | null);
}

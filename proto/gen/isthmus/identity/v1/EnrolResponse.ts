// Original file: proto/isthmus/identity/v1/identity.proto

import type { EnrolledParent as _isthmus_identity_v1_EnrolledParent, EnrolledParent__Output as _isthmus_identity_v1_EnrolledParent__Output } from '../../../isthmus/identity/v1/EnrolledParent.ts';

export interface EnrolResponse {
  'node'?: (string);
  'role'?: (string);
  'site'?: (string);
  'meshId'?: (string);
  'certificatePem'?: (string);
  'authorityPem'?: (string);
  /**
   * The first of `parents`, for a joining node of version 1, which knows no more than one.
   */
  'parent'?: (string);
  /**
   * In order of preference; a server of version 1 says none.
   */
  'parents'?: (_isthmus_identity_v1_EnrolledParent)[];
}

export interface EnrolResponse__Output {
  'node': (string);
  'role': (string);
  'site': (string);
  'meshId': (string);
  'certificatePem': (string);
  'authorityPem': (string);
  /**
   * The first of `parents`, for a joining node of version 1, which knows no more than one.
   */
  'parent': (string);
  /**
   * In order of preference; a server of version 1 says none.
   */
  'parents': (_isthmus_identity_v1_EnrolledParent__Output)[];
}

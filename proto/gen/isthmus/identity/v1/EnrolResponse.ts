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
   * In order of preference.
   */
  'parents'?: (_isthmus_identity_v1_EnrolledParent)[];
  /**
   * Where the children of a relay dial it, as host:port, when the operator named that; else empty.
   */
  'address'?: (string);
}

export interface EnrolResponse__Output {
  'node': (string);
  'role': (string);
  'site': (string);
  'meshId': (string);
  'certificatePem': (string);
  'authorityPem': (string);
  /**
   * In order of preference.
   */
  'parents': (_isthmus_identity_v1_EnrolledParent__Output)[];
  /**
   * Where the children of a relay dial it, as host:port, when the operator named that; else empty.
   */
  'address': (string);
}

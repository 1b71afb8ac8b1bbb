// Original file: proto/isthmus/upgrade/v1/upgrade.proto


export interface StatusRequest {
  /**
   * Which upgrade; empty for none.
   */
  'id'?: (string);
}

export interface StatusRequest__Output {
  /**
   * Which upgrade; empty for none.
   */
  'id': (string);
}

// Original file: proto/isthmus/mirror/v1/mirror.proto


export interface ListRequest {
  /**
   * Only these; all for none.
   */
  'sha256'?: (string)[];
  /**
   * Digests after this one.
   */
  'after'?: (string);
  'limit'?: (number);
}

export interface ListRequest__Output {
  /**
   * Only these; all for none.
   */
  'sha256': (string)[];
  /**
   * Digests after this one.
   */
  'after': (string);
  'limit': (number);
}

// Original file: proto/isthmus/identity/v1/identity.proto


export interface BeginRequest {
  /**
   * The oldest version the joiner speaks. A server of version 1 takes nothing but 1 here.
   */
  'oldestWireVersion'?: (number);
  'softwareVersion'?: (string);
  'tokenId'?: (string);
  /**
   * The newest; nodes of version 1 do not say it.
   */
  'newestWireVersion'?: (number);
}

export interface BeginRequest__Output {
  /**
   * The oldest version the joiner speaks. A server of version 1 takes nothing but 1 here.
   */
  'oldestWireVersion': (number);
  'softwareVersion': (string);
  'tokenId': (string);
  /**
   * The newest; nodes of version 1 do not say it.
   */
  'newestWireVersion': (number);
}

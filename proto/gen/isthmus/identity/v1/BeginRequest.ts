// Original file: proto/isthmus/identity/v1/identity.proto


export interface BeginRequest {
  /**
   * The oldest and the newest wire version that the joining node speaks.
   */
  'oldestWireVersion'?: (number);
  'newestWireVersion'?: (number);
  'softwareVersion'?: (string);
  'tokenId'?: (string);
}

export interface BeginRequest__Output {
  /**
   * The oldest and the newest wire version that the joining node speaks.
   */
  'oldestWireVersion': (number);
  'newestWireVersion': (number);
  'softwareVersion': (string);
  'tokenId': (string);
}

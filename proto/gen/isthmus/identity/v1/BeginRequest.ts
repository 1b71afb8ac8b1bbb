// Original file: proto/isthmus/identity/v1/identity.proto


export interface BeginRequest {
  'wireVersion'?: (number);
  'softwareVersion'?: (string);
  'tokenId'?: (string);
}

export interface BeginRequest__Output {
  'wireVersion': (number);
  'softwareVersion': (string);
  'tokenId': (string);
}

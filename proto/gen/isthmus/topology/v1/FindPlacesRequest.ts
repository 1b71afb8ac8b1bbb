// Original file: proto/isthmus/topology/v1/topology.proto


export interface FindPlacesRequest {
  'sha256'?: (string);
}

export interface FindPlacesRequest__Output {
  'sha256': (string);
}

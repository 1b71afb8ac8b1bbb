// Original file: proto/isthmus/topology/v1/topology.proto


export interface FindSourcesRequest {
  'sha256'?: (string);
}

export interface FindSourcesRequest__Output {
  'sha256': (string);
}

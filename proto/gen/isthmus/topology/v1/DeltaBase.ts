// Original file: proto/isthmus/topology/v1/topology.proto


export interface DeltaBase {
  'sha256'?: (string);
  'tarSha256'?: (string);
}

export interface DeltaBase__Output {
  'sha256': (string);
  'tarSha256': (string);
}

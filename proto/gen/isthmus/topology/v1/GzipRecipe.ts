// Original file: proto/isthmus/topology/v1/topology.proto


export interface GzipRecipe {
  'level'?: (number);
  'memLevel'?: (number);
  'header'?: (Buffer | Uint8Array | string);
}

export interface GzipRecipe__Output {
  'level': (number);
  'memLevel': (number);
  'header': (Buffer);
}

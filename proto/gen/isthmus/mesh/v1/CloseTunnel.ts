// Original file: proto/isthmus/mesh/v1/link.proto


export interface CloseTunnel {
  'tunnelId'?: (Buffer | Uint8Array | string);
}

export interface CloseTunnel__Output {
  'tunnelId': (Buffer);
}

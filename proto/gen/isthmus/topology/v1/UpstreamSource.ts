// Original file: proto/isthmus/topology/v1/topology.proto


export interface UpstreamSource {
  'id'?: (string);
  /**
   * Of the package's bytes.
   */
  'url'?: (string);
}

export interface UpstreamSource__Output {
  'id': (string);
  /**
   * Of the package's bytes.
   */
  'url': (string);
}

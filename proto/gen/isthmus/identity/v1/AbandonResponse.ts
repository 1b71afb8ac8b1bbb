// Original file: proto/isthmus/identity/v1/identity.proto


export interface AbandonResponse {
  /**
   * The node has confirmed already: it is in the mesh, and the token stays used.
   */
  'joined'?: (boolean);
}

export interface AbandonResponse__Output {
  /**
   * The node has confirmed already: it is in the mesh, and the token stays used.
   */
  'joined': (boolean);
}

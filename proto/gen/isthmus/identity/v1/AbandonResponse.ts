// Original file: proto/isthmus/identity/v1/identity.proto


export interface AbandonResponse {
  /**
   * Whether the node has confirmed already: then it is in the mesh, and the token stays consumed.
   */
  'joined'?: (boolean);
}

export interface AbandonResponse__Output {
  /**
   * Whether the node has confirmed already: then it is in the mesh, and the token stays consumed.
   */
  'joined': (boolean);
}

// Original file: proto/isthmus/tentacle/v1/tentacle.proto


export interface SubstitutionRule {
  /**
   * A glob of files below the package root.
   */
  'pattern'?: (string);
  /**
   * The encoding of files without a byte order mark: a word of lib/text/encodings.ts.
   */
  'encoding'?: (string);
}

export interface SubstitutionRule__Output {
  /**
   * A glob of files below the package root.
   */
  'pattern': (string);
  /**
   * The encoding of files without a byte order mark: a word of lib/text/encodings.ts.
   */
  'encoding': (string);
}

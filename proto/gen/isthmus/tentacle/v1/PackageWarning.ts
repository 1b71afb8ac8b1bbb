// Original file: proto/isthmus/tentacle/v1/tentacle.proto


export interface PackageWarning {
  /**
   * A word of tentacle/packages/substitute-files.ts, for programs.
   */
  'kind'?: (string);
  /**
   * Below the package root; empty when it is about no file.
   */
  'file'?: (string);
  /**
   * From 1; 0 when it is about no line.
   */
  'line'?: (number);
  /**
   * A sentence for people.
   */
  'text'?: (string);
}

export interface PackageWarning__Output {
  /**
   * A word of tentacle/packages/substitute-files.ts, for programs.
   */
  'kind': (string);
  /**
   * Below the package root; empty when it is about no file.
   */
  'file': (string);
  /**
   * From 1; 0 when it is about no line.
   */
  'line': (number);
  /**
   * A sentence for people.
   */
  'text': (string);
}

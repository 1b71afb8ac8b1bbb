// Original file: proto/isthmus/tentacle/v1/tentacle.proto


/**
 * What a package step of a project has on a machine in one environment. Each part is a slug.
 */
export interface Installation {
  'project'?: (string);
  'environment'?: (string);
  'step'?: (string);
}

/**
 * What a package step of a project has on a machine in one environment. Each part is a slug.
 */
export interface Installation__Output {
  'project': (string);
  'environment': (string);
  'step': (string);
}

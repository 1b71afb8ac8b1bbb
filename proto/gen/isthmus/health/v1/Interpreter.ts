// Original file: proto/isthmus/health/v1/health.proto


export interface Interpreter {
  'name'?: (string);
  'path'?: (string);
}

export interface Interpreter__Output {
  'name': (string);
  'path': (string);
}

// Original file: proto/isthmus/tentacle/v1/tentacle.proto


export interface Interpreter {
  'name'?: (string);
  'path'?: (string);
}

export interface Interpreter__Output {
  'name': (string);
  'path': (string);
}

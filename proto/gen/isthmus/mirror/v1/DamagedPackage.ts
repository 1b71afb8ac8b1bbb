// Original file: proto/isthmus/mirror/v1/mirror.proto


export interface DamagedPackage {
  'sha256'?: (string);
  'repaired'?: (boolean);
}

export interface DamagedPackage__Output {
  'sha256': (string);
  'repaired': (boolean);
}

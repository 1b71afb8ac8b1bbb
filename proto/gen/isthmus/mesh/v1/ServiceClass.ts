// Original file: proto/isthmus/mesh/v1/link.proto

export const ServiceClass = {
  SERVICE_CLASS_UNSPECIFIED: 'SERVICE_CLASS_UNSPECIFIED',
  CONTROL: 'CONTROL',
  BULK: 'BULK',
} as const;

export type ServiceClass =
  | 'SERVICE_CLASS_UNSPECIFIED'
  | 0
  | 'CONTROL'
  | 1
  | 'BULK'
  | 2

export type ServiceClass__Output = typeof ServiceClass[keyof typeof ServiceClass]

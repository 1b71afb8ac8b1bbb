// Original file: proto/isthmus/mesh/v1/link.proto

export const Relation = {
  RELATION_UNSPECIFIED: 'RELATION_UNSPECIFIED',
  PARENT: 'PARENT',
  CHILD: 'CHILD',
} as const;

export type Relation =
  | 'RELATION_UNSPECIFIED'
  | 0
  | 'PARENT'
  | 1
  | 'CHILD'
  | 2

export type Relation__Output = typeof Relation[keyof typeof Relation]

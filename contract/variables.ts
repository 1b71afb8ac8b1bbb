// Variables of a project. Sensitive values are accepted and never answered.
import { Type, type Static } from 'typebox';
import { AnyId, Closed, List, Nullable, PageOf, Slug, Slugs, Timestamp, Version } from './schema.ts';

export const Variable = Type.Object(
  {
    id: Type.String(),
    project: Slug,
    name: Type.String(),
    value: Nullable(Type.String({ description: 'Null when the variable is sensitive.' })),
    sensitive: Type.Boolean(),
    environments: List(Slug),
    machines: List(Slug),
    targetRoles: List(Slug),
    version: Version,
    createdAt: Timestamp,
  },
  { $id: 'Variable' },
);
export type Variable = Static<typeof Variable>;

export const VariablePage = PageOf(Variable, 'VariablePage');

const name = Type.String({ minLength: 1, maxLength: 200 });
const value = Type.String({ maxLength: 256 * 1024 });
const REST = {
  sensitive: Type.Optional(Type.Boolean()),
  environments: Type.Optional(Slugs),
  machines: Type.Optional(Slugs),
  targetRoles: Type.Optional(Slugs),
};

export const NewVariable = Closed(
  { name, value, ...REST },
  {
    $id: 'NewVariable',
    description: 'An empty or absent list of environments, machines or target roles means all of them.',
  },
);
export type NewVariable = Static<typeof NewVariable>;

export const VariablePatch = Closed(
  { name: Type.Optional(name), value: Type.Optional(value), ...REST },
  { $id: 'VariablePatch' },
);
export type VariablePatch = Static<typeof VariablePatch>;

export const ByVariable = Closed({ id: Slug, variable: AnyId });

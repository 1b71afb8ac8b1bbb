// API keys and their roles, and who the caller is.
import { Type, type Static } from 'typebox';
import { Closed, Line, Nullable, PageOf, Timestamp, Words } from './schema.ts';

export const API_ROLES = ['admin', 'operator', 'viewer'] as const;
export const ApiRole = Words(API_ROLES, {
  $id: 'ApiRole',
  description: 'Each role includes the rights of the next.',
});
export type ApiRole = Static<typeof ApiRole>;

export const Whoami = Type.Object(
  {
    key: Type.String({ description: 'The id of the API key.' }),
    role: ApiRole,
    mesh: Type.String(),
    node: Type.String({ description: 'The server that answers.' }),
  },
  { $id: 'Whoami' },
);
export type Whoami = Static<typeof Whoami>;

export const ApiKey = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    role: ApiRole,
    createdAt: Timestamp,
    expiresAt: Nullable(Timestamp),
    revokedAt: Nullable(Timestamp),
  },
  { $id: 'ApiKey' },
);
export type ApiKey = Static<typeof ApiKey>;

export const ApiKeyPage = PageOf(ApiKey, 'ApiKeyPage');

export const NewApiKey = Closed(
  { name: Line, role: ApiRole, expiresAt: Type.Optional(Timestamp) },
  { $id: 'NewApiKey' },
);

export type NewApiKey = Static<typeof NewApiKey>;

export const CreatedApiKey = Type.Object(
  { ...ApiKey.properties, key: Type.String({ description: 'The key itself. It is shown only in this answer.' }) },
  { $id: 'CreatedApiKey' },
);
export type CreatedApiKey = Static<typeof CreatedApiKey>;

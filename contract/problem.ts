// Problems: every error is answered as a problem document (RFC 9457) with a stable code.
import { Type, type Static } from 'typebox';
import { ErrorCode } from './schema.ts';

export const Action = Type.Object(
  { code: Type.String(), arguments: Type.Record(Type.String(), Type.String()) },
  {
    $id: 'Action',
    description: 'The remedy as a code with arguments, from which a program can build its own text or link.',
  },
);

export const Problem = Type.Object(
  {
    type: Type.String({ description: '`urn:isthmus:error:` and the code.' }),
    title: Type.String(),
    status: Type.Integer(),
    code: ErrorCode,
    detail: Type.String(),
    field: Type.Optional(Type.String({ description: 'The field that is wrong, as a path: `routes[0].via[1]`.' })),
    hop: Type.Optional(Type.String({ description: 'The node at which the error happened.' })),
    remedy: Type.String({ description: 'What to do, in words.' }),
    action: Type.Optional(Action),
  },
  { $id: 'Problem' },
);
export type Problem = Static<typeof Problem>;

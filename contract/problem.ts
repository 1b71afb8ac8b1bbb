// How every error is answered: a problem document (RFC 9457) with a stable code.
import { Type, type Static } from 'typebox';
import { ErrorCode } from './schema.ts';

export const Problem = Type.Object(
  {
    type: Type.String({ description: '`urn:isthmus:error:` and the code.' }),
    title: Type.String(),
    status: Type.Integer(),
    code: ErrorCode,
    detail: Type.String(),
    field: Type.Optional(Type.String({ description: 'What is wrong, as a path: `routes[0].via[1]`.' })),
    hop: Type.Optional(Type.String({ description: 'The node at which it happened.' })),
    remedy: Type.String({ description: 'What to do, in words.' }),
    action: Type.Optional(
      Type.Object(
        { code: Type.String(), arguments: Type.Record(Type.String(), Type.String()) },
        { description: 'The same as a code and its arguments, for programs to word or to link.' },
      ),
    ),
  },
  { $id: 'Problem' },
);
export type Problem = Static<typeof Problem>;

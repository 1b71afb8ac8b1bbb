// The audit trail: who did what to what.
import { Type, type Static } from 'typebox';
import { Line, PageOf, SequenceQuery, Timestamp } from './schema.ts';

export const AuditEvent = Type.Object(
  {
    seq: Type.Integer({ description: 'Rises with every event.' }),
    at: Timestamp,
    actor: Type.String({ description: 'The id of an API key or of a node, `system`, or `anonymous`.' }),
    type: Type.String(),
    subjectKind: Type.String(),
    subject: Type.String(),
    data: Type.Record(Type.String(), Type.Unknown()),
  },
  { $id: 'AuditEvent' },
);
export type AuditEvent = Static<typeof AuditEvent>;

export const AuditEventPage = PageOf(AuditEvent, 'AuditEventPage');

export const AuditQuery = SequenceQuery({
  type: Type.Optional(Line),
  subject: Type.Optional(Line),
  denied: Type.Optional(Type.Boolean({ description: 'Lists denials instead of events.' })),
});

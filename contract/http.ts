// What surrounds a body: the headers of requests and answers, and how an operation describes its answers.
import { Type, type TSchema } from 'typebox';
import { Problem } from './problem.ts';

/** For a change of a resource that has versions. */
export const IfMatch = Type.Object({
  'If-Match': Type.String({
    description: 'The ETag that was read. 428 without it, 412 when the resource has changed since.',
  }),
});

/** For a request that may be sent again when its answer was lost. */
export const IdempotencyKey = Type.Object({
  'Idempotency-Key': Type.Optional(
    Type.String({
      description:
        '1 to 255 visible ASCII characters. The same key with the same request gets the first answer again for a day; ' +
        'with another request it is refused with 422.',
    }),
  ),
});

/** For a stream that goes on where it was cut. */
export const LastEventId = Type.Object({
  'Last-Event-ID': Type.Optional(Type.String({ description: 'The id of the last event that was read.' })),
});

const answerHeaders = {
  Allow: Type.String({ description: 'The methods of this path.' }),
  'Content-Disposition': Type.String({ description: '`attachment`' }),
  'Content-Length': Type.Integer({ description: 'Bytes.' }),
  ETag: Type.String({ description: 'The version of the resource, for If-Match.' }),
  Location: Type.String({ description: 'The path of the resource.' }),
  'Retry-After': Type.Integer({ description: 'Seconds to wait before the next try.' }),
  'WWW-Authenticate': Type.String({ description: '`Bearer`' }),
};

export type AnswerHeader = keyof typeof answerHeaders;

function headersOf(names: readonly AnswerHeader[]) {
  return names.length === 0 ? {} : { headers: Object.fromEntries(names.map((name) => [name, answerHeaders[name]])) };
}

/** An answer in JSON, with the headers it carries beside the body. */
export function json<Body extends TSchema>(description: string, schema: Body, ...headers: readonly AnswerHeader[]) {
  return { description, ...headersOf(headers), content: { 'application/json': { schema } } };
}

/** An answer without a body. */
export function noContent(description: string) {
  return Type.Null({ description });
}

/** Bytes, in a request or an answer. */
export const Bytes = Type.String({ format: 'binary' });

/** An answer of bytes. */
export function bytes(description: string, ...headers: readonly AnswerHeader[]) {
  return { description, ...headersOf(headers), content: { 'application/octet-stream': { schema: Bytes } } };
}

/** An answer of server-sent events; each of them fits the schema. */
export function eventStream<Event extends TSchema>(description: string, schema: Event) {
  return { description, content: { 'text/event-stream': { schema } } };
}

function problems(description: string, ...headers: readonly AnswerHeader[]) {
  return { description, ...headersOf(headers), content: { 'application/problem+json': { schema: Problem } } };
}

/** What every operation may answer. */
export const PROBLEM_ANSWERS = {
  '4XX': problems('The request was refused.', 'Allow', 'Retry-After', 'WWW-Authenticate'),
  '5XX': problems('The server could not do it now.', 'Retry-After'),
};

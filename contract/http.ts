// HTTP around the bodies: headers of requests and answers, and helpers with which operations describe their answers.
import { Type, type TSchema } from 'typebox';
import { Problem } from './problem.ts';

/** For changes of resources that have versions. */
export const IfMatch = Type.Object({
  'If-Match': Type.String({
    description: 'The ETag of the version that was read. 428 without it, 412 when the resource has changed since.',
  }),
});

/** For requests that a client may repeat when it has lost the answer. */
export const IdempotencyKey = Type.Object({
  'Idempotency-Key': Type.Optional(
    Type.String({
      description:
        '1 to 255 visible ASCII characters. For a day, the same key with the same request gets the first answer ' +
        'again; the same key with another request is an error (422).',
    }),
  ),
});

/** For resuming an interrupted stream. */
export const LastEventId = Type.Object({
  'Last-Event-ID': Type.Optional(Type.String({ description: 'The id of the last event that was read.' })),
});

const ANSWER_HEADERS = {
  Allow: Type.String({ description: 'The methods of this path.' }),
  'Content-Disposition': Type.String({ description: '`attachment`' }),
  'Content-Length': Type.Integer({ description: 'Bytes.' }),
  ETag: Type.String({ description: 'The version of the resource, for If-Match.' }),
  Location: Type.String({ description: 'The URL path of the resource.' }),
  'Retry-After': Type.Integer({ description: 'Seconds to wait before the next try.' }),
  'WWW-Authenticate': Type.String({ description: '`Bearer`' }),
};

export type AnswerHeader = keyof typeof ANSWER_HEADERS;

function headersOf(names: readonly AnswerHeader[]) {
  return names.length === 0 ? {} : { headers: Object.fromEntries(names.map((name) => [name, ANSWER_HEADERS[name]])) };
}

/** A JSON answer with its headers. */
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

/** An answer of server-sent events, each of which fits the schema. */
export function eventStream<Event extends TSchema>(description: string, schema: Event) {
  return { description, content: { 'text/event-stream': { schema } } };
}

function problems(description: string, ...headers: readonly AnswerHeader[]) {
  return { description, ...headersOf(headers), content: { 'application/problem+json': { schema: Problem } } };
}

/** Errors that every operation may answer. */
export const PROBLEM_ANSWERS = {
  '4XX': problems('The request is wrong, or denied.', 'Allow', 'Retry-After', 'WWW-Authenticate'),
  '5XX': problems('The server cannot handle the request now.', 'Retry-After'),
};

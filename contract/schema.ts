// Building blocks of the API's schemas: closed objects for requests, lists, pages, unions with a discriminator, and
// scalars that every resource uses. A schema with an `$id` has that name in the OpenAPI document.
import {
  Type,
  type TArrayOptions,
  type TObject,
  type TObjectOptions,
  type TProperties,
  type TSchema,
  type TSchemaOptions,
} from 'typebox';
import {
  ABSOLUTE_PATH_IN_WORDS,
  ABSOLUTE_PATH_PATTERN,
  ACCOUNT_IN_WORDS,
  ACCOUNT_PATTERN,
  FILE_MODE_IN_WORDS,
  FILE_MODE_PATTERN,
  FOLDER_MODE_IN_WORDS,
  FOLDER_MODE_PATTERN,
  HOST_PORT_PATTERN,
  PACKAGE_ID_IN_WORDS,
  PACKAGE_ID_PATTERN,
  SLUG_IN_WORDS,
  SLUG_PATTERN,
} from './patterns.ts';

/** An object with no other fields than these: a request with another one is an error. */
export function Closed<Properties extends TProperties>(properties: Properties, options: TObjectOptions = {}) {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

/** A list whose type is `readonly`, so that domain values fit without a copy. */
export function List<Item extends TSchema>(item: Item, options: TArrayOptions = {}) {
  return Type.Immutable(Type.Array(item, options));
}

export const Nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

/** An enumeration of strings. */
export function Words<Values extends string[]>(values: readonly [...Values], options: TSchemaOptions = {}) {
  return Type.Enum(values, { ...options, type: 'string' });
}

/** One of several named objects: the literal in `field` says which. */
export function OneOf<Branches extends TObject[]>(field: string, branches: [...Branches], options: TSchemaOptions) {
  return Type.Union(branches, { ...options, discriminator: { propertyName: field } });
}

const LINE_PATTERN =
  '^[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff\\ufff9-\\ufffb]*$';

/** The requirement of each pattern, in words. */
export const PATTERNS_IN_WORDS: ReadonlyMap<unknown, string> = new Map([
  [SLUG_PATTERN, SLUG_IN_WORDS],
  [PACKAGE_ID_PATTERN, PACKAGE_ID_IN_WORDS],
  [LINE_PATTERN, 'must be one line, without characters that control or reorder text'],
  [HOST_PORT_PATTERN, 'must be host:port'],
  [ACCOUNT_PATTERN, ACCOUNT_IN_WORDS],
  [FILE_MODE_PATTERN, FILE_MODE_IN_WORDS],
  [FOLDER_MODE_PATTERN, FOLDER_MODE_IN_WORDS],
  [ABSOLUTE_PATH_PATTERN, ABSOLUTE_PATH_IN_WORDS],
]);

export const Slug = Type.String({
  $id: 'Slug',
  pattern: SLUG_PATTERN,
  description: 'Lower-case letters, digits and hyphens: a DNS label.',
});

export const Slugs = List(Slug, { maxItems: 500, uniqueItems: true });

/** One line for people: no control characters, which could forge other lines, and no marks that reorder text. */
export const Line = Type.String({ minLength: 1, maxLength: 200, pattern: LINE_PATTERN });

export const Text = Type.String({ maxLength: 4000 });

export const Timestamp = Type.Integer({ $id: 'Timestamp', description: 'Milliseconds since 1970.' });

/** The version of a resource, which is also its ETag. */
export const Version = Type.Integer({ description: 'Rises with every change; the ETag carries it.' });

/** An id that the server assigns (tasks, releases, variables). One that it never assigned is not found. */
export const AnyId = Type.String({ minLength: 1, maxLength: 100 });

export const HostPort = Type.String({
  minLength: 3,
  maxLength: 300,
  pattern: HOST_PORT_PATTERN,
  description: 'host:port',
});

export const Sha256 = Type.String({ description: 'SHA-256 in hexadecimal.' });

/** The code of an error inside another answer; an answer that is itself an error is a Problem. */
export const ErrorCode = Type.String({ description: 'A stable code: see docs/errors.md.' });

/** The path parameters of a resource whose id is a slug. */
export const BySlug = Closed({ id: Slug });

/** The path parameters of a resource whose id the server assigns. */
export const ById = Closed({ id: AnyId });

const limit = Type.Optional(
  Type.Integer({ minimum: 1, maximum: 500, default: 100, description: 'At most this many items.' }),
);
const cursor = Type.Optional(
  Type.String({ minLength: 1, maxLength: 1000, description: '`next` of the previous page; absent for the first.' }),
);

/** The query of a list: a page, and filters that must all match. */
export function ListQuery<Filters extends TProperties>(filters: Filters) {
  return Closed({ limit, cursor, ...filters });
}

export const PageQuery = ListQuery({});

/** The query of a sequence that only grows: entries after a number. */
export function SequenceQuery<Filters extends TProperties>(filters: Filters) {
  const after = Type.Optional(Type.Integer({ minimum: 0, description: 'Lists entries with a higher number.' }));
  return Closed({ after, limit, ...filters });
}

/** A page of a list. */
export function PageOf<Item extends TSchema>(item: Item, $id: string) {
  const next = Type.Optional(Type.String({ description: 'Fetches the next page; absent on the last one.' }));
  return Type.Object({ items: List(item), next }, { $id });
}

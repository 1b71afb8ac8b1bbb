// Schemas that several routes share. `Closed` objects refuse fields they do not know.
import { Type, type Static, type TProperties, type TSchema } from 'typebox';
import { hostPortPattern } from '../../lib/net/host-port.ts';
import type { Page, PageRequest } from '../store/repositories/base.ts';

/** An object with exactly these fields. */
export function Closed<Properties extends TProperties>(properties: Properties) {
  return Type.Object(properties, { additionalProperties: false });
}

const slugPattern = '^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$';
const linePattern =
  '^[^\\u0000-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff\\ufff9-\\ufffb]*$';

/** What a pattern asks for, in words. */
export const patternsInWords: ReadonlyMap<unknown, string> = new Map([
  [slugPattern, 'must have lower-case letters, digits and, between them, hyphens: 1 to 63'],
  [linePattern, 'must be one line, without characters that control or reorder text'],
  [hostPortPattern, 'must be host:port'],
]);

export const Slug = Type.String({
  pattern: slugPattern,
  description: 'Lower-case letters, digits and hyphens: a DNS label.',
});
/** A line a person reads: no control characters, so that it cannot forge other lines, and no marks that reorder it. */
export const Line = Type.String({
  minLength: 1,
  maxLength: 200,
  pattern: linePattern,
});
export const Text = Type.String({ maxLength: 4000 });
export const Timestamp = Type.Integer({ description: 'Milliseconds since 1970.' });
/** Ids of tasks, releases, variables; anything else is simply not found. */
export const AnyId = Type.String({ minLength: 1, maxLength: 100 });

export const Nullable = <Schema extends TSchema>(schema: Schema) => Type.Union([schema, Type.Null()]);

export const Slugs = Type.Array(Slug, { maxItems: 500, uniqueItems: true });

export const Route = Type.Union([
  Closed({ kind: Type.Literal('direct') }),
  Closed({ kind: Type.Literal('path'), via: Type.Array(Slug, { minItems: 1, maxItems: 64 }) }),
  Closed({ kind: Type.Literal('auto') }),
]);

/** A parent of a node: with an address, it dials the node there; without one, the node dials it. */
export const Parent = Type.Object({ node: Slug, dialAddress: Nullable(Type.String()) });

/** host:port, as it is asked for. */
export const Address = Type.String({ minLength: 3, maxLength: 300, pattern: hostPortPattern });

/** A page of `Item`. */
export const PageOf = <Item extends TSchema>(item: Item) =>
  Type.Object({ items: Type.Array(item), next: Type.Optional(Type.String()) });

const pageFields = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 100 })),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 1000 })),
};

export const PageQuery = Closed(pageFields);

/** The query of a list that can be filtered. */
export const FilteredQuery = <Filters extends TProperties>(filters: Filters) => Closed({ ...pageFields, ...filters });

export function pageRequest({ limit = 100, cursor }: Static<typeof PageQuery>): PageRequest {
  return { limit, cursor };
}

/** A page with its items as the API shows them. */
export function mapPage<Item, View>(
  { items, next }: Page<Item>,
  view: (item: Item) => View,
): { items: View[]; next?: string } {
  return next === undefined ? { items: items.map(view) } : { items: items.map(view), next };
}

export const ById = Closed({ id: Slug });

// Pages of lists: from the query to the store, and from the store's items to the API's.
import type { Static } from 'typebox';
import type { PageQuery } from '../../contract/schema.ts';
import type { Page, PageRequest } from '../store/base.ts';

/** The page that a query requests. */
export function pageRequest({ limit = 100, cursor }: Static<typeof PageQuery>): PageRequest {
  return { limit, cursor };
}

/** A page with each item converted for the API. */
export function mapPage<Item, View>(
  { items, next }: Page<Item>,
  view: (item: Item) => View,
): { items: View[]; next?: string } {
  return next === undefined ? { items: items.map(view) } : { items: items.map(view), next };
}

// The stored form of a machine's routes: how the server reaches it. Lists of routes are in order of preference.

/** A route over one path: direct, or over the relays to cross, the server's neighbour first. */
export type FixedRoute = { readonly kind: 'direct' } | { readonly kind: 'path'; readonly via: readonly string[] };

/** `auto` stands for every path over the node's parents, the least-cost live one first. */
export type Route = FixedRoute | { readonly kind: 'auto' };

/** The route over these relays. */
export function routeOver(via: readonly string[]): FixedRoute {
  return via.length === 0 ? { kind: 'direct' } : { kind: 'path', via };
}

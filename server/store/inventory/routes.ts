// A machine's route as it is stored: how the server reaches it. An array of these is in order of preference.

/** One way: no relay, or the relays to cross, the server's neighbour first. */
export type FixedRoute = { readonly kind: 'direct' } | { readonly kind: 'path'; readonly via: readonly string[] };

/** `auto` is every path that the node's parents make, the least-cost live one first. */
export type Route = FixedRoute | { readonly kind: 'auto' };

/** The way over these relays. */
export function routeOver(via: readonly string[]): FixedRoute {
  return via.length === 0 ? { kind: 'direct' } : { kind: 'path', via };
}

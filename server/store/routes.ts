// A machine's route as it is stored: how the server reaches it. An array of these is in order of preference.

export type Route = { readonly kind: 'direct' } | { readonly kind: 'path'; readonly via: readonly string[] };

// Trusted proxies: whose X-Forwarded-For the API trusts. Wrong keys are counted, and denials recorded, by address;
// behind a proxy that would be the proxy's address, and one guesser would use up everybody's limit.

/**
 * Fastify's `trustProxy` for addresses and networks such as `10.0.0.5` or `10.0.0.0/24`: for their requests,
 * `X-Forwarded-For` names the client, read from the right up to the first address that is none of them.
 */
export function trustedProxies(addresses: readonly string[] = []): string[] | false {
  return addresses.length === 0 ? false : [...addresses];
}

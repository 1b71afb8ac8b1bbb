// Trusted proxies: whose X-Forwarded-For the API trusts. Wrong keys are counted, and denials recorded, by address;
// behind a proxy that would be the proxy's address, and one guesser would use up everybody's limit.
import { IsthmusError } from '../../contract/errors.ts';
import { isNetwork } from '../../lib/net/network-address.ts';

/**
 * Fastify's `trustProxy` for addresses and networks such as `10.0.0.5` or `10.0.0.0/24`: for their requests,
 * `X-Forwarded-For` names the client, read from the right up to the first address that is none of them. Throws
 * CONFIG_INVALID.
 */
export function trustedProxies(addresses: readonly string[] = []): string[] | false {
  for (const address of addresses) assertNetwork(address);
  return addresses.length === 0 ? false : [...addresses];
}

function assertNetwork(text: string): void {
  if (isNetwork(text)) return;
  throw new IsthmusError('CONFIG_INVALID', `api.trustedProxies: "${text}" is neither an address nor a network`, {
    field: 'api.trustedProxies',
  });
}

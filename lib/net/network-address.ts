// Which addresses from another party this process may connect to. A name is resolved once, every address is checked,
// and the connection goes to a checked address, so that a later change of the name (rebinding) has no effect.
import { lookup } from 'node:dns/promises';
import { isIP, isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import { IsthmusError } from '../../contract/errors.ts';
import { hostOf } from './host-port.ts';

/** Never a node of the mesh: link-local and special addresses, and the metadata services of clouds. */
const NOWHERE = [
  '0.0.0.0/8', '169.254.0.0/16', '192.0.0.0/24', '224.0.0.0/3', '100.100.100.200/32', '168.63.129.16/32',
  '::/128', 'fe80::/10', 'ff00::/8', 'fd00:ec2::254/128',
].map((network) => ipaddr.parseCIDR(network)); // prettier-ignore
const LOOPBACK = ['127.0.0.0/8', '::1/128'].map((network) => ipaddr.parseCIDR(network));

/** IPv6 networks whose addresses stand for an IPv4 address, with the byte offset of that address. */
const EMBEDDINGS = [
  { network: ipaddr.parseCIDR('::ffff:0:0/96'), offset: 12 }, // mapped
  { network: ipaddr.parseCIDR('::/96'), offset: 12 }, // compatible
  { network: ipaddr.parseCIDR('64:ff9b::/32'), offset: 12 }, // NAT64, well-known and local
  { network: ipaddr.parseCIDR('2002::/16'), offset: 2 }, // 6to4
];

type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;

export interface Reach {
  /** Whether loopback addresses are allowed. */
  readonly loopback: boolean;
}

/** Why an address is forbidden; undefined when it is allowed. Private networks are allowed: the mesh is there. */
export function addressFault(address: string, { loopback: allowed }: Reach): string | undefined {
  const parsed = ipaddr.parse(address);
  const plain = embeddedIpv4(parsed) ?? parsed;
  if (isIn(NOWHERE, plain)) return `${address} is no address of a node`;
  if (!allowed && isIn(LOOPBACK, plain)) return `${address} is this machine itself`;
  return undefined;
}

/** Whether a text is an address, or a network such as `10.0.0.0/24`. */
export function isNetwork(text: string): boolean {
  const [address = ''] = text.split('/');
  return isIP(address) !== 0 && (address === text || ipaddr.isValidCIDR(text));
}

/** Whether a text is a network such as `10.1.0.0/16`. */
export function isCidr(text: string): boolean {
  return ipaddr.isValidCIDR(text);
}

/** The smallest of the networks in which one of these addresses is. */
export function longestNetwork(
  networks: readonly string[],
  addresses: readonly string[],
): { readonly network: string; readonly bits: number } | undefined {
  const parsed = addresses.map((address) => ipaddr.process(address));
  const matching = networks.flatMap((text) => {
    const [network, bits] = ipaddr.parseCIDR(text);
    return parsed.some((address) => isIn([[network, bits]], address)) ? [{ network: text, bits }] : [];
  });
  return matching.toSorted((a, b) => b.bits - a.bits)[0];
}

/** What one party may have all addresses of: an IPv4 address, or the /64 network of an IPv6 address. */
export function networkOf(address: string): string {
  if (isIPv4(address)) return address;
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  return parsed.kind() === 'ipv4' ? parsed.toString() : (parsed as ipaddr.IPv6).parts.slice(0, 4).join(':');
}

/** Whether a host can only be this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || (isIP(host) !== 0 && isIn(LOOPBACK, ipaddr.parse(host)));
}

/**
 * The address of a host of a URL or of `host:port`. URL_FORBIDDEN when it is a forbidden address or resolves to one,
 * UNREACHABLE when the name does not resolve.
 */
export async function resolveAllowed(host: string, reach: Reach, field: string): Promise<string> {
  const addresses = isIP(host) === 0 ? await lookUp(host) : [host];
  for (const address of addresses) {
    const fault = addressFault(address, reach);
    if (fault !== undefined) {
      const named = address === host ? '' : ` (${JSON.stringify(host.slice(0, 100))} resolves to it)`;
      throw new IsthmusError('URL_FORBIDDEN', `${fault}${named}`, { field });
    }
  }
  const [first] = addresses;
  if (first === undefined) throw new IsthmusError('UNREACHABLE', `${host} has no address`);
  return first;
}

/**
 * Checks a literal address that others will connect to: URL_FORBIDDEN when no node can have it. Names are not checked
 * here. Spellings are normalised: 0xa9fea9fe is 169.254.169.254 to every resolver.
 */
export function checkKeptHost(host: string, field: string): void {
  const parsed = URL.canParse(`http://${host}`) ? hostOf(new URL(`http://${host}`)) : host;
  const fault = isIP(parsed) === 0 ? undefined : addressFault(parsed, { loopback: true });
  if (fault !== undefined) throw new IsthmusError('URL_FORBIDDEN', fault, { field });
}

async function lookUp(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch (cause) {
    throw new IsthmusError('UNREACHABLE', `${host} does not resolve`, { cause });
  }
}

/** The IPv4 address that an IPv6 address stands for. */
function embeddedIpv4(address: IpAddress): IpAddress | undefined {
  const embedding = EMBEDDINGS.find(({ network }) => isIn([network], address));
  if (embedding === undefined || isShort(address)) return undefined;
  return ipaddr.fromByteArray(address.toByteArray().slice(embedding.offset, embedding.offset + 4));
}

/** Whether an address is `::`, `::1` or the like, which lie in ::/96 but contain no IPv4 address. */
function isShort(address: IpAddress): boolean {
  return address
    .toByteArray()
    .slice(0, 14)
    .every((byte) => byte === 0);
}

function isIn(networks: readonly [IpAddress, number][], address: IpAddress): boolean {
  return networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));
}

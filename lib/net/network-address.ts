// Which addresses another party may make this process connect to. Names are resolved once, every address is judged, and
// the connection goes to the address that was judged: a name that later means another (rebinding) changes nothing.
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { IsthmusError } from '../../contract/errors.ts';
import { hostOf } from './host-port.ts';

/** Never a peer of the mesh: link-local and special addresses, and the services that clouds keep for their own machines. */
const NOWHERE = [
  '0.0.0.0/8', '169.254.0.0/16', '192.0.0.0/24', '224.0.0.0/3', '100.100.100.200/32', '168.63.129.16/32',
  '::/128', 'fe80::/10', 'ff00::/8', 'fd00:ec2::254/128',
].map((network) => ipaddr.parseCIDR(network)); // prettier-ignore
const LOOPBACK = ['127.0.0.0/8', '::1/128'].map((network) => ipaddr.parseCIDR(network));

/** IPv6 networks whose addresses are another way to write or reach an IPv4 one, and the byte at which that one begins. */
const EMBEDDINGS = [
  { network: ipaddr.parseCIDR('::ffff:0:0/96'), offset: 12 }, // mapped
  { network: ipaddr.parseCIDR('::/96'), offset: 12 }, // compatible
  { network: ipaddr.parseCIDR('64:ff9b::/32'), offset: 12 }, // NAT64, well-known and local
  { network: ipaddr.parseCIDR('2002::/16'), offset: 2 }, // 6to4
];

type IpAddress = ipaddr.IPv4 | ipaddr.IPv6;

export interface Reach {
  /** Whether this machine itself may be meant. */
  readonly loopback: boolean;
}

/** Why an address may not be connected to; undefined when it may. Private networks may: that is where the mesh is. */
export function addressFault(address: string, { loopback: allowed }: Reach): string | undefined {
  const parsed = ipaddr.parse(address);
  const plain = embeddedIpv4(parsed) ?? parsed;
  if (isIn(NOWHERE, plain)) return `${address} is no address of a node`;
  if (!allowed && isIn(LOOPBACK, plain)) return `${address} is this machine itself`;
  return undefined;
}

/** Whether a host can only be this machine itself. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || (isIP(host) !== 0 && isIn(LOOPBACK, ipaddr.parse(host)));
}

/**
 * The address that a host of a URL or of `host:port` means, or URL_FORBIDDEN when it is one (or resolves to one) that
 * may not be connected to. UNREACHABLE when the name does not resolve.
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
 * Checks an address that is to be kept for others to connect to, as far as it says by itself where it is (a name does
 * not): URL_FORBIDDEN when no node could be there. However it is spelled: 0xa9fea9fe is 169.254.169.254 to every
 * resolver.
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

/** The IPv4 address inside an IPv6 one that is only another way to write or reach it. */
function embeddedIpv4(address: IpAddress): IpAddress | undefined {
  const embedding = EMBEDDINGS.find(({ network }) => isIn([network], address));
  if (embedding === undefined || isShort(address)) return undefined;
  return ipaddr.fromByteArray(address.toByteArray().slice(embedding.offset, embedding.offset + 4));
}

/** `::` and `::1` lie among the compatible addresses and are none. */
function isShort(address: IpAddress): boolean {
  return address
    .toByteArray()
    .slice(0, 14)
    .every((byte) => byte === 0);
}

function isIn(networks: readonly [IpAddress, number][], address: IpAddress): boolean {
  return networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));
}

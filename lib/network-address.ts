// Which addresses another party may make this process connect to. Names are resolved once, every address is judged, and
// the connection goes to the address that was judged: a name that later means another (rebinding) changes nothing.
import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { IsthmusError } from './errors.ts';

/** Never where a peer of the mesh is: this machine's neighbours without a router, nobody, everybody, and the services that
 * clouds keep for their own machines. */
const nowhere = listOf(
  ['0.0.0.0', 8], ['169.254.0.0', 16], ['192.0.0.0', 24], ['224.0.0.0', 3], ['100.100.100.200', 32], ['168.63.129.16', 32],
  ['::', 128], ['fe80::', 10], ['ff00::', 8], ['fd00:ec2::254', 128],
); // prettier-ignore
const loopback = listOf(['127.0.0.0', 8], ['::1', 128]);

function listOf(...subnets: (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [net, prefix] of subnets) list.addSubnet(net, prefix, net.includes(':') ? 'ipv6' : 'ipv4');
  return list;
}

export interface Reach {
  /** Whether this machine itself may be meant. */
  readonly loopback: boolean;
}

/** Why an address may not be connected to; undefined when it may. Private networks may: that is where the mesh is. */
export function addressFault(address: string, { loopback: allowed }: Reach): string | undefined {
  const plain = embeddedIpv4(address) ?? address;
  const family = plain.includes(':') ? 'ipv6' : 'ipv4';
  if (nowhere.check(plain, family)) return `${address} is no address of a node`;
  if (!allowed && loopback.check(plain, family)) return `${address} is this machine itself`;
  return undefined;
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
  const parsed = URL.canParse(`http://${host}`) ? new URL(`http://${host}`).hostname.replace(/^\[|\]$/g, '') : host;
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

/**
 * The IPv4 address inside an IPv6 one that is only another way to write or reach it: mapped, compatible, NAT64, 6to4.
 */
function embeddedIpv4(address: string): string | undefined {
  if (isIP(address) !== 6) return undefined;
  const words = wordsOf(address);
  const isZero = (from: number, to: number) => words.slice(from, to).every((word) => word === 0);
  const dotted = (high = 0, low = 0) => [high >> 8, high & 255, low >> 8, low & 255].join('.');
  const mapped = isZero(0, 5) && words[5] === 0xffff;
  const compatible = isZero(0, 6) && words[6] !== 0;
  const nat64 = words[0] === 0x64 && words[1] === 0xff9b && isZero(2, 6);
  if (mapped || compatible || nat64) return dotted(words[6], words[7]);
  if (words[0] === 0x2002) return dotted(words[1], words[2]);
  return undefined;
}

/** The eight words of an IPv6 address, in whatever spelling. */
function wordsOf(address: string): number[] {
  const [bare = ''] = address.split('%');
  const hex = bare.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, ...parts: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = '', tail] = hex.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  return [...left, ...zeros, ...right].map((word) => Number.parseInt(word, 16));
}

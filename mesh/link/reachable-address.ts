// The address at which others reach a port of this process: where it listens, unless that is every address of the
// machine.
import { hostname, networkInterfaces } from 'node:os';
import { formatHostPort, isEveryAddress, requireHostPort } from '../../lib/net/host-port.ts';

/**
 * The address at which others reach a port that listens on `address`. For a port on every address of the machine that
 * is its full name, else its first address that is not loopback, IPv4 before IPv6: a guess, which a setting overrides.
 */
export function reachableAt(address: string): string {
  const { host, port } = requireHostPort(address);
  return isEveryAddress(host) ? formatHostPort({ host: machineName(), port }) : address;
}

function machineName(): string {
  const name = hostname();
  if (name.includes('.')) return name;
  const addresses = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const outside = addresses.filter(({ internal }) => !internal);
  const found =
    outside.find(({ family }) => family === 'IPv4') ??
    outside.find(({ address, family }) => family === 'IPv6' && !isLinkLocal(address));
  return found?.address ?? name;
}

/** Such an address is none without the name of an interface (RFC 4007). */
function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address);
}

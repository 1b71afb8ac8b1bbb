// Parses and formats `host:port`, the form of addresses in settings, command line, API and wire; an IPv6 host is in
// brackets.
import { IsthmusError } from '../../contract/errors.ts';
import { HOST_PORT_PATTERN } from '../../contract/patterns.ts';

export interface HostPort {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
}

const SHAPE = new RegExp(HOST_PORT_PATTERN);

/** Reads `host:port`; undefined when the text is something else. Port 0 is allowed: the system chooses. */
export function parseHostPort(text: string): HostPort | undefined {
  const [, bracketed, plain, digits] = SHAPE.exec(text) ?? [];
  const host = bracketed ?? plain;
  return host === undefined ? undefined : { host, port: Number(digits) };
}

/** Reads the `host:port` of `field`. INVALID_FIELD, or CONFIG_INVALID for a setting, when it is something else. */
export function requireHostPort(
  text: string,
  field?: string,
  code: 'INVALID_FIELD' | 'CONFIG_INVALID' = 'INVALID_FIELD',
): HostPort {
  const parsed = parseHostPort(text);
  if (parsed === undefined) throw new IsthmusError(code, `"${text}" is not host:port`, { field });
  return parsed;
}

/** Writes a host and a port as `parseHostPort` reads them. */
export function formatHostPort({ host, port: number }: HostPort): string {
  return host.includes(':') ? `[${host}]:${number}` : `${host}:${number}`;
}

/** The host of a URL in the form for sockets: an IPv6 address without brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** Whether a listener at this host listens on every address of the machine. */
export function isEveryAddress(host: string): boolean {
  return ['0.0.0.0', '::', '*'].includes(host);
}

// `host:port`, as addresses are written in settings, on the command line, in the API and on the wire: an IPv6 host stands
// in brackets.
import { IsthmusError } from '../../contract/errors.ts';

export interface HostPort {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
}

const PORT = '(\\d{1,4}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d{2}|655[0-2]\\d|6553[0-5])';

/** What a JSON schema asks of a `host:port`. */
export const HOST_PORT_PATTERN = `^(?:\\[([0-9a-fA-F:.]+(?:%[^\\s\\]]+)?)\\]|([^\\s:\\[\\]]+)):${PORT}$`;

const SHAPE = new RegExp(HOST_PORT_PATTERN);

/** Reads `host:port`; undefined when the text is something else. Port 0 is one: the system chooses. */
export function parseHostPort(text: string): HostPort | undefined {
  const [, bracketed, plain, digits] = SHAPE.exec(text) ?? [];
  const host = bracketed ?? plain;
  return host === undefined ? undefined : { host, port: Number(digits) };
}

/** Reads `host:port` that came as `field`. INVALID_FIELD, or CONFIG_INVALID for a setting, when it is something else. */
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

/** The host of a URL, an IPv6 address without its brackets: as sockets take it. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** Whether a listener at this host listens on every address of the machine. */
export function isEveryAddress(host: string): boolean {
  return ['0.0.0.0', '::', '*'].includes(host);
}

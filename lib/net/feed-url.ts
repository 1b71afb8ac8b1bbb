// Checks the URL of a package feed at an open port: https, host and port only.
import { hostOf } from './host-port.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { checkKeptHost } from './network-address.ts';

/** Reads `https://host:port`. URL_FORBIDDEN for anything more in that field. */
export function feedAddress(url: string, field = 'url'): { host: string; port: number } {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const plain =
    parsed?.protocol === 'https:' &&
    parsed.username + parsed.password === '' &&
    parsed.pathname === '/' &&
    parsed.search + parsed.hash === '';
  if (parsed === undefined || !plain) {
    throw new IsthmusError('URL_FORBIDDEN', 'the URL of a feed must be https://host:port', { field });
  }
  return { host: hostOf(parsed), port: parsed.port === '' ? 443 : Number(parsed.port) };
}

/**
 * Checks the URL that a mirror configures or reports: URL_FORBIDDEN when no node can have it. Loopback is allowed here,
 * because the connecting node decides about it; names are resolved at connect.
 */
export function checkFeedUrl(url: string): void {
  const { host } = feedAddress(url, 'feedUrl');
  checkKeptHost(host.includes(':') ? `[${host}]` : host, 'feedUrl');
}

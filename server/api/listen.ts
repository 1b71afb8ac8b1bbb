// Where the API listens.
import { isIP } from 'node:net';
import { IsthmusError } from '../../lib/errors.ts';
import { cannotListen } from '../../lib/listen.ts';
import type { ApiInstance } from './context.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads `host:port`, `[v6]:port` or `:port`. */
export function parseListen(text: string, field: string): ListenAddress {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65_535) {
    throw new IsthmusError('CONFIG_INVALID', `${field}: "${text}" is not host:port`, { field });
  }
  return { host: bracketed ?? (plain === undefined || plain === '' ? '0.0.0.0' : plain), port: Number(port) };
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

/** Listens; answers the address as host:port. Fails as `listenAt` does. */
export async function listen(app: ApiInstance, { host, port }: ListenAddress): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (thrown) {
    throw cannotListen(thrown, host, port, 'api.listen');
  }
  const bound = app.server.address();
  if (bound === null || typeof bound === 'string') throw new IsthmusError('INTERNAL', 'the API listens nowhere');
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}

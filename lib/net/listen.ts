// Opens a listening port; the error says what is wrong: the port, the address, or the privilege.
import type { AddressInfo, Server } from 'node:net';
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import { formatHostPort } from './host-port.ts';

const CODES: Readonly<Record<string, { readonly code: ErrorCode; readonly why: string }>> = {
  EADDRINUSE: { code: 'PORT_IN_USE', why: 'the port is in use' },
  EACCES: { code: 'PORT_FORBIDDEN', why: 'this account may not listen on that port' },
  EPERM: { code: 'PORT_FORBIDDEN', why: 'this account may not listen on that port' },
  EADDRNOTAVAIL: { code: 'ADDRESS_NOT_LOCAL', why: 'this machine has no such address' },
  EAFNOSUPPORT: { code: 'ADDRESS_NOT_LOCAL', why: 'this machine has no addresses of that family' },
  EINVAL: { code: 'ADDRESS_NOT_LOCAL', why: 'no process can listen on such an address' },
  ENOTFOUND: { code: 'ADDRESS_NOT_LOCAL', why: 'the name does not resolve' },
  EAI_AGAIN: { code: 'ADDRESS_NOT_LOCAL', why: 'the name does not resolve at the moment' },
};

/**
 * Connections that wait to be accepted. One is accepted in each turn of the event loop, and when the queue is full, a
 * peer tries again only after a second.
 */
export const BACKLOG = 4096;

/**
 * Opens a port and returns its address; at `::` for both families, or for the one that there is. PORT_IN_USE,
 * PORT_FORBIDDEN or ADDRESS_NOT_LOCAL, as `cannotListen`.
 */
export async function listenAt(server: Server, host: string, port: number, field?: string): Promise<AddressInfo> {
  try {
    await open(server, host, port).catch((error: NodeJS.ErrnoException) => {
      // `::` takes IPv4, too; a machine without IPv6 has only that.
      if (host !== '::' || !WITHOUT_IPV6.has(error.code ?? '')) throw error;
      return open(server, '0.0.0.0', port);
    });
  } catch (error) {
    throw cannotListen(error, host, port, field);
  }
  return server.address() as AddressInfo;
}

const WITHOUT_IPV6: ReadonlySet<string> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL']);

async function open(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** The error for a failed `listen`, with the address in the message; `field` is the setting with the address. */
export function cannotListen(cause: unknown, host: string, port: number, field?: string): IsthmusError {
  const errno = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  const { code, why } = CODES[errno] ?? { code: 'INTERNAL', why: 'the system refuses' };
  return new IsthmusError(code, `cannot listen on ${formatHostPort({ host, port })}: ${why} (${errno})`, {
    ...(field === undefined ? {} : { field }),
    cause,
  });
}

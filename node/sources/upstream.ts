// Connects to a source of packages outside the mesh. The connection goes to the address that was checked.
import { once } from 'node:events';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { IsthmusError } from '../../contract/errors.ts';
import type { SourceConnection } from '../../lib/blobs/blob-client.ts';
import type { UpstreamSource } from '../../lib/blobs/source.ts';
import { hostOf } from '../../lib/net/host-port.ts';
import { resolveAllowed, type Reach } from '../../lib/net/network-address.ts';
import { upstreamUrl } from '../../lib/net/upstream-url.ts';

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * A stream to the server. URL_FORBIDDEN for an address where no source can be, UNREACHABLE when it does not answer or
 * does not prove its name.
 */
export async function connectUpstream(
  { id, url }: UpstreamSource,
  reach: Reach,
  signal: AbortSignal,
): Promise<SourceConnection> {
  const parsed = upstreamUrl(url);
  const name = hostOf(parsed);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_TIMEOUT_MS)]);
  const address = await resolveAllowed(name, reach, 'url');
  limit.throwIfAborted();
  const isTls = parsed.protocol === 'https:';
  const port = parsed.port === '' ? (isTls ? 443 : 80) : Number(parsed.port);
  const socket: Socket = isTls
    ? connectTls({
        host: address,
        port,
        ...(isIP(name) === 0 ? { servername: name } : {}),
        ALPNProtocols: ['http/1.1'],
      })
    : connectTcp({ host: address, port });
  try {
    await once(socket, isTls ? 'secureConnect' : 'connect', { signal: limit });
    return { linkClass: 'upstream', stream: socket, host: parsed.host, path: parsed.pathname + parsed.search };
  } catch (thrown) {
    socket.on('error', () => undefined);
    socket.destroy();
    signal.throwIfAborted();
    throw IsthmusError.from(thrown, 'UNREACHABLE', { hop: id });
  }
}

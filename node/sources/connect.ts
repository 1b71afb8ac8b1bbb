// Connects to a package source: a node at its open port where it has one, else through the mesh, and what is outside the
// mesh at its URL (upstream.ts). Nodes have proven who they are before the first byte of HTTP.
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import type { IdentityStore } from '../../certs/identity.ts';
import { linkClientOptions, verifyPeer } from '../../certs/tls.ts';
import type { RevocationCheck } from '../../certs/verify.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { SourceConnection } from '../../lib/blobs/blob-client.ts';
import type { MeshSource, Source } from '../../lib/blobs/source.ts';
import { feedAddress } from '../../lib/net/feed-url.ts';
import { resolveAllowed } from '../../lib/net/network-address.ts';
import type { Mesh } from '../../mesh/types.ts';
import type { PushedStreams } from './pushed.ts';
import { connectUpstream } from './upstream.ts';

export interface SourceAccess {
  readonly mesh: Pick<Mesh, 'dial' | 'denials'>;
  readonly identity: IdentityStore;
  readonly revocations: RevocationCheck;
  /** Whether a source may be on this machine. */
  readonly loopback: boolean;
  /** Of a tentacle: the streams that the server opens. */
  readonly pushed?: PushedStreams | undefined;
}

/** The service under which servers and mirrors serve packages. */
export const FEED_SERVICE = 'feed';

const OPEN_PORT_TIMEOUT_MS = 5_000;
const DIAL_TIMEOUT_MS = 12_000;

/** A stream to the feed of a source. */
export async function connectSource(
  source: Source,
  access: SourceAccess,
  signal: AbortSignal,
): Promise<SourceConnection> {
  switch (source.kind) {
    case 'mesh':
      return connectNode(source, access, signal);
    case 'upstream':
      return connectUpstream(source, access, signal);
    case 'pushed':
      if (access.pushed === undefined) throw new IsthmusError('SOURCE_FAILED', 'nothing is pushed to this node');
      return { stream: await access.pushed.next(signal), linkClass: 'mesh' };
  }
}

/**
 * A stream to the feed of a node. Falls back to the mesh when an open port does not answer; URL_FORBIDDEN for a port
 * at an address where no node can be.
 */
async function connectNode(
  { node, path, url }: MeshSource,
  access: SourceAccess,
  signal: AbortSignal,
): Promise<SourceConnection> {
  if (url !== undefined) {
    try {
      return { stream: await connectOpenPort(url, node, access, signal), linkClass: 'open port' };
    } catch (thrown) {
      signal.throwIfAborted();
      const error = IsthmusError.from(thrown, 'UNREACHABLE');
      access.mesh.denials.record(error, node, FEED_SERVICE);
      if (error.code !== 'UNREACHABLE') throw error;
    }
  }
  const dialled = { node, path, service: FEED_SERVICE, class: 'bulk', deadlineMs: DIAL_TIMEOUT_MS } as const;
  return { stream: await access.mesh.dial({ ...dialled, signal }), linkClass: 'mesh' };
}

async function connectOpenPort(
  url: string,
  node: string,
  access: SourceAccess,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const { host: name, port } = feedAddress(url);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(OPEN_PORT_TIMEOUT_MS)]);
  const host = await resolveAllowed(name, access, 'url');
  limit.throwIfAborted();
  const identity = access.identity.current();
  const socket = connect({ ...linkClientOptions(identity), host, port });
  try {
    await once(socket, 'secureConnect', { signal: limit });
    verifyPeer(socket, identity, access.revocations, { node, roles: ['mirror', 'server'] });
    return socket;
  } catch (thrown) {
    socket.on('error', () => undefined);
    socket.destroy();
    throw IsthmusError.from(thrown, 'UNREACHABLE', { hop: node });
  }
}

// Connects to a place that has packages: by its open port where it has one, else through the mesh. Either way both ends
// have proven who they are before a byte of HTTP.
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import type { IdentityStore } from '../certs/identity.ts';
import { linkClientOptions, verifyPeer } from '../certs/tls.ts';
import type { RevocationCheck } from '../certs/verify.ts';
import { IsthmusError } from '../lib/errors.ts';
import { hostOf } from '../lib/net/host-port.ts';
import { checkKeptHost, resolveAllowed } from '../lib/network-address.ts';
import type { Mesh } from './types.ts';

/** The service under which servers and mirrors hand out packages. */
export const feedService = 'feed';

export interface FeedPlace {
  readonly node: string;
  /** The relays to cross, next first. */
  readonly path: readonly string[];
  readonly url?: string | undefined;
}

export interface FeedAccess {
  readonly mesh: Pick<Mesh, 'dial' | 'refusals'>;
  readonly identity: IdentityStore;
  readonly revocations: RevocationCheck;
  /** Whether a place may be on this very machine. */
  readonly loopback: boolean;
}

const openPortTimeoutMs = 5_000;
const dialTimeoutMs = 20_000;

/**
 * A stream to the place's feed. An open port that does not answer is passed over for the mesh; one at an address where
 * no node of the mesh can be is URL_FORBIDDEN.
 */
export async function connectFeed(place: FeedPlace, access: FeedAccess, signal: AbortSignal): Promise<Duplex> {
  if (place.url !== undefined) {
    try {
      return await connectOpenPort(place.url, place.node, access, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      const error = IsthmusError.from(thrown, 'UNREACHABLE');
      access.mesh.refusals.note(error, place.node, feedService);
      if (error.code !== 'UNREACHABLE') throw error;
    }
  }
  const { node, path } = place;
  return access.mesh.dial({ node, service: feedService, path, class: 'bulk', deadlineMs: dialTimeoutMs, signal });
}

async function connectOpenPort(url: string, node: string, access: FeedAccess, signal: AbortSignal): Promise<TLSSocket> {
  const { host: name, port } = feedAddress(url);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(openPortTimeoutMs)]);
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

/** Reads `https://host:port`. Anything more is not an address of a feed: URL_FORBIDDEN, and nothing is sent to it. */
export function feedAddress(url: string): { host: string; port: number } {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const plain =
    parsed?.protocol === 'https:' &&
    parsed.username + parsed.password === '' &&
    parsed.pathname === '/' &&
    parsed.search + parsed.hash === '';
  if (parsed === undefined || !plain) {
    throw new IsthmusError('URL_FORBIDDEN', 'the URL of a feed is https://host:port and nothing more', {
      field: 'url',
    });
  }
  return { host: hostOf(parsed), port: parsed.port === '' ? 443 : Number(parsed.port) };
}

/**
 * Checks the URL that a mirror gives out, or reports: URL_FORBIDDEN when no node could be there. Loopback passes,
 * because whoever connects decides about that; names are resolved where they are connected to.
 */
export function checkFeedUrl(url: string): void {
  const { host } = feedAddress(url);
  checkKeptHost(host.includes(':') ? `[${host}]` : host, 'feedUrl');
}

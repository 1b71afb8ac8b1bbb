// The request that opens a tunnel, checked as it comes off the wire, and the denial that may come back.
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { IsthmusError, isErrorCode } from '../../contract/errors.ts';
import { isSlug } from '../../lib/ids.ts';
import type { OpenTunnel, OpenTunnel__Output } from '../../proto/gen/isthmus/mesh/v1/OpenTunnel.ts';
import type { TunnelError, TunnelError__Output } from '../../proto/gen/isthmus/mesh/v1/TunnelError.ts';
import { MAX_HOPS } from '../limits.ts';
import type { ServiceClass } from '../types.ts';

export interface TunnelRequest {
  readonly source: string;
  /** A node id, or 'server' for any node of that role. */
  readonly destination: string;
  /** The relays still to cross, next first. */
  readonly path: readonly string[];
  /** The nodes already crossed, in order. */
  readonly crossed: readonly string[];
  readonly service: string;
  readonly serviceClass: ServiceClass;
  readonly deadlineMs: number;
  /** The address of the source, as the first node that it crosses sees it. */
  readonly sourceAddress?: string | undefined;
}

const ID_BYTES = 16;

/** Tunnel and session ids are random: knowing one is part of the right to answer it. */
export function newTunnelId(): Buffer {
  return randomBytes(ID_BYTES);
}

/** The request as the next hop reads it, under an id of this hop's own. */
export function encodeRequest(tunnelId: Buffer, request: TunnelRequest): OpenTunnel {
  return {
    tunnelId,
    source: request.source,
    destination: request.destination,
    path: [...request.path],
    crossed: [...request.crossed],
    service: request.service,
    serviceClass: request.serviceClass === 'bulk' ? 'BULK' : 'CONTROL',
    deadlineMs: Math.max(1, Math.round(request.deadlineMs)),
    sourceAddress: request.sourceAddress ?? '',
  };
}

/** Reads a request; PROTOCOL unless names are slugs and lists short, so that nothing hostile reaches a log or a map. */
export function decodeRequest(open: OpenTunnel__Output, openMs: number): TunnelRequest {
  const names = [open.source, open.destination, open.service, ...open.path, ...open.crossed];
  const wellFormed =
    open.tunnelId.length === ID_BYTES &&
    open.path.length <= MAX_HOPS &&
    open.crossed.length <= MAX_HOPS &&
    names.every(isSlug) &&
    (open.serviceClass === 'BULK' || open.serviceClass === 'CONTROL') &&
    open.deadlineMs > 0;
  if (!wellFormed) throw new IsthmusError('PROTOCOL', 'a tunnel request is malformed');
  return {
    source: open.source,
    destination: open.destination,
    path: open.path,
    crossed: open.crossed,
    service: open.service,
    serviceClass: open.serviceClass === 'BULK' ? 'bulk' : 'control',
    deadlineMs: Math.min(open.deadlineMs, openMs),
    sourceAddress: isIP(open.sourceAddress) === 0 ? undefined : open.sourceAddress,
  };
}

/** The denial on the wire; its hop is this node unless a farther hop denied. */
export function encodeDenial(error: IsthmusError, self: string): TunnelError {
  return { code: error.code, hop: error.hop ?? self, detail: error.message.slice(0, 500) };
}

/** The denial as an error; an unknown code counts as UNREACHABLE. */
export function decodeDenial(denial: TunnelError__Output, neighbour: string): IsthmusError {
  const hop = isSlug(denial.hop) ? denial.hop : neighbour;
  const code = isErrorCode(denial.code) ? denial.code : 'UNREACHABLE';
  return new IsthmusError(code, denial.detail.slice(0, 500) || `the tunnel was denied: ${denial.code}`, { hop });
}

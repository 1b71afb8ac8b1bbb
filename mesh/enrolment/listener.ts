// The enrolment listener: serves connections without a certificate. Each may make one request, for `enrol` on the
// server, and gets a limited stream to it.
import type { Duplex } from 'node:stream';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Denials } from '../denials.ts';
import type { InboundConnection } from '../link/listener.ts';
import { ENROL_SERVICE } from '../services.ts';
import { framed, readFrame } from '../tunnel/frame.ts';
import { decodeRequest, encodeDenial, type TunnelRequest } from '../tunnel/request.ts';
import { bulkPrefaceCodec, tunnelOpenedCodec } from '../wire.ts';
import type { EnrolmentLimiter } from './rate-limiter.ts';

export interface EnrolmentListenerDeps {
  readonly node: string;
  readonly limiter: EnrolmentLimiter;
  readonly openMs: number;
  readonly log: Logger;
  readonly denials: Denials;
  /** Opens a tunnel to the server and joins the stream to it; rejects when it cannot be opened. */
  forward(request: TunnelRequest, accept: () => Duplex, signal: AbortSignal): Promise<void>;
}

/** Serves one connection without a certificate. */
export function serveEnrolment(connection: InboundConnection, deps: EnrolmentListenerDeps): void {
  const address = connection.raw.remoteAddress ?? 'unknown';
  admit(connection, address, deps).catch((thrown: unknown) => {
    const error = IsthmusError.from(thrown, 'UNREACHABLE', { hop: deps.node });
    deps.denials.record(error, address, ENROL_SERVICE);
    deps.log.warn({ address, code: error.code, err: error.message }, 'enrolment denied');
    const denial = { error: encodeDenial(error, deps.node) };
    connection.tls.end(framed(tunnelOpenedCodec.encode(denial)), () => connection.tls.destroy());
    connection.tls.resume();
  });
}

async function admit(connection: InboundConnection, address: string, deps: EnrolmentListenerDeps): Promise<void> {
  deps.limiter.acquire(address);
  const preface = bulkPrefaceCodec.decode(await readFrame(connection.tls));
  if (!preface.open) throw new IsthmusError('PROTOCOL', 'an enrolment began with the wrong message');
  const requested = decodeRequest(preface.open, deps.openMs);
  if (requested.service !== ENROL_SERVICE || requested.destination !== 'server') {
    throw new IsthmusError('FORBIDDEN', 'without a certificate, only enrol on the server may be opened');
  }
  const gone = new AbortController();
  connection.raw.once('close', () => gone.abort(new IsthmusError('CANCELLED', 'the requester gave up')));
  // Nothing that the peer claims about itself is used: the tunnel is this node's.
  const request: TunnelRequest = { ...requested, source: deps.node, path: [], crossed: [], serviceClass: 'control' };
  const accept = () => {
    connection.settled();
    connection.tls.write(framed(tunnelOpenedCodec.encode({})));
    return deps.limiter.bound(connection.tls);
  };
  await deps.forward(request, accept, gone.signal);
}

// Where peers without a certificate come in: one request, for `enrol` on the server and nothing else, then a capped
// stream towards it.
import type { Duplex } from 'node:stream';
import { IsthmusError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { InboundConnection } from '../link/listener.ts';
import { framed, readFrame } from '../tunnel/frame.ts';
import { decodeRequest, encodeDenial, type TunnelRequest } from '../tunnel/request.ts';
import type { Denials } from '../denials.ts';
import { bulkPrefaceCodec, tunnelOpenedCodec } from '../wire.ts';
import type { EnrolmentLimiter } from './rate-limiter.ts';

export interface EnrolmentListenerDeps {
  readonly node: string;
  readonly gate: EnrolmentLimiter;
  readonly openMs: number;
  readonly log: Logger;
  readonly denials: Denials;
  /** Opens the way to the server and joins the stream to it; rejects when it cannot be opened. */
  carry(request: TunnelRequest, accept: () => Duplex, signal: AbortSignal): Promise<void>;
}

/** Serves one connection without a certificate. */
export function serveEnrolment(connection: InboundConnection, deps: EnrolmentListenerDeps): void {
  const address = connection.raw.remoteAddress ?? 'unknown';
  admit(connection, address, deps).catch((thrown: unknown) => {
    const error = IsthmusError.from(thrown, 'UNREACHABLE', { hop: deps.node });
    deps.denials.note(error, address, 'enrol');
    deps.log.warn({ address, code: error.code, err: error.message }, 'enrolment refused');
    const denial = { error: encodeDenial(error, deps.node) };
    connection.tls.end(framed(tunnelOpenedCodec.encode(denial)), () => connection.tls.destroy());
    connection.tls.resume();
  });
}

async function admit(connection: InboundConnection, address: string, deps: EnrolmentListenerDeps): Promise<void> {
  deps.gate.enter(address);
  const preface = bulkPrefaceCodec.decode(await readFrame(connection.tls));
  if (!preface.open) throw new IsthmusError('PROTOCOL', 'an enrolment opened with the wrong message');
  const asked = decodeRequest(preface.open, deps.openMs);
  if (asked.service !== 'enrol' || asked.destination !== 'server') {
    throw new IsthmusError('FORBIDDEN', 'without a certificate, only enrol on the server may be opened');
  }
  const gone = new AbortController();
  connection.raw.once('close', () => gone.abort(new IsthmusError('CANCELLED', 'the asker gave up')));
  // What the peer wrote about itself counts for nothing: the tunnel is this node's.
  const request: TunnelRequest = { ...asked, source: deps.node, path: [], crossed: [], serviceClass: 'control' };
  const accept = () => {
    connection.settled();
    connection.tls.write(framed(tunnelOpenedCodec.encode({})));
    return deps.gate.bound(connection.tls);
  };
  await deps.carry(request, accept, gone.signal);
}

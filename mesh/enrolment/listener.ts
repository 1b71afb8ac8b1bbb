// Where peers without a certificate come in: one request, for `enrol` on the server and nothing else, then a capped
// stream towards it.
import type { Duplex } from 'node:stream';
import { IsthmusError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { Accepted } from '../link/listener.ts';
import { framed, readFrame } from '../tunnel/frame.ts';
import { decodeRequest, encodeRefusal, type TunnelRequest } from '../tunnel/request.ts';
import type { Refusals } from '../denials.ts';
import { bulkPrefaceCodec, tunnelOpenedCodec } from '../wire.ts';
import type { EnrolGate } from './rate-limiter.ts';

export interface EnrolDoorDeps {
  readonly node: string;
  readonly gate: EnrolGate;
  readonly openMs: number;
  readonly log: Logger;
  readonly refusals: Refusals;
  /** Opens the way to the server and joins the stream to it; rejects when it cannot be opened. */
  carry(request: TunnelRequest, accept: () => Duplex, signal: AbortSignal): Promise<void>;
}

/** Serves one connection without a certificate. */
export function openEnrolDoor(connection: Accepted, deps: EnrolDoorDeps): void {
  const address = connection.raw.remoteAddress ?? 'unknown';
  admit(connection, address, deps).catch((thrown: unknown) => {
    const error = IsthmusError.from(thrown, 'UNREACHABLE', { hop: deps.node });
    deps.refusals.note(error, address, 'enrol');
    deps.log.warn({ address, code: error.code, err: error.message }, 'enrolment refused');
    const refusal = { error: encodeRefusal(error, deps.node) };
    connection.tls.end(framed(tunnelOpenedCodec.encode(refusal)), () => connection.tls.destroy());
    connection.tls.resume();
  });
}

async function admit(connection: Accepted, address: string, deps: EnrolDoorDeps): Promise<void> {
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

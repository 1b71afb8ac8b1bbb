// Opens `enrol` through a node of the mesh without a certificate: as a joining node, or as the relay that dials one.
// The stream is bare; all trust is in the TLS session that runs inside it.
import { ALPN } from '../../certs/tls.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { connectTo, type Connection } from '../link/connection.ts';
import { ENROL_SERVICE } from '../services.ts';
import { framed, readFrame } from '../tunnel/frame.ts';
import { decodeDenial, encodeRequest, newTunnelId, type TunnelRequest } from '../tunnel/request.ts';
import { bulkPrefaceCodec, tunnelOpenedCodec } from '../wire.ts';

export interface EnrolmentTarget {
  /** 'server', or a node that waits to be dialled. */
  readonly destination: string;
  readonly source: string;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** Opens `enrol` through the node at `address`. */
export async function openEnrol(address: string, route: EnrolmentTarget): Promise<Connection> {
  const connection = await connectTo(address, ALPN.enrol, undefined, route.signal);
  const abort = () => connection.tls.destroy();
  route.signal.addEventListener('abort', abort, { once: true });
  try {
    const request: TunnelRequest = {
      source: route.source,
      destination: route.destination,
      path: [],
      crossed: [],
      service: ENROL_SERVICE,
      serviceClass: 'control',
      deadlineMs: route.deadlineMs,
    };
    const preface = { sessionId: Buffer.alloc(0), open: encodeRequest(newTunnelId(), request) };
    connection.tls.write(framed(bulkPrefaceCodec.encode(preface)));
    const opened = tunnelOpenedCodec.decode(await readFrame(connection.tls));
    if (opened.error) throw decodeDenial(opened.error, route.destination);
    return connection;
  } catch (thrown) {
    connection.tls.destroy();
    if (route.signal.aborted) throw IsthmusError.from(route.signal.reason, 'CANCELLED');
    throw IsthmusError.from(thrown, 'UNREACHABLE');
  } finally {
    route.signal.removeEventListener('abort', abort);
  }
}

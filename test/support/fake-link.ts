// A neighbour that speaks the link's real wire and can misbehave on purpose: it says the hello it is told to, answers
// pings only when asked to, and shows every frame it gets.
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { randomBytes } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';
import type { IdentityStore } from '../../certs/identity.ts';
import { ALPN } from '../../certs/tls.ts';
import type { IsthmusError } from '../../contract/errors.ts';
import { grpcClient } from '../../lib/grpc/client.ts';
import { fromServiceError } from '../../lib/grpc/errors.ts';
import { connectTo } from '../../mesh/link/connection.ts';
import { LinkClientConstructor } from '../../mesh/wire.ts';
import { WIRE_VERSIONS } from '../../mesh/wire-version.ts';
import type { AttachFrame, AttachFrame__Output } from '../../proto/gen/isthmus/mesh/v1/AttachFrame.ts';
import type { Hello } from '../../proto/gen/isthmus/mesh/v1/Hello.ts';
import type { LinkClient } from '../../proto/gen/isthmus/mesh/v1/Link.ts';
import { tcpLine } from './tcp-line.ts';

export interface FakeLink {
  readonly rpc: LinkClient;
  readonly attach: ClientDuplexStream<AttachFrame, AttachFrame__Output>;
  readonly frames: AttachFrame__Output[];
  readonly sessionId: Buffer;
  readonly tls: TLSSocket;
  /** How the session ended; pending while it lives. */
  readonly ended: Promise<IsthmusError | undefined>;
  close(): void;
}

/** Dials a node and says hello; everything not given is as a well-behaved child would say it. */
export async function fakeLink(
  address: string,
  identity: IdentityStore,
  hello: Partial<Hello> = {},
  { pongs = true }: { pongs?: boolean } = {},
): Promise<FakeLink> {
  const connection = await connectTo(address, ALPN.link, identity.current(), AbortSignal.timeout(5_000));
  // A small window: what this peer does not read soon stands in the memory of the other.
  const client = grpcClient(LinkClientConstructor, () => Promise.resolve(connection.tls), { windowBytes: 65_535 });
  const rpc = await client.ready();
  const attach = rpc.attach();
  const frames: AttachFrame__Output[] = [];
  const sessionId = randomBytes(16);
  const ended = new Promise<IsthmusError | undefined>((resolve) => {
    attach.on('error', (error) => resolve(fromServiceError(error)));
    attach.on('end', () => setImmediate(() => resolve(undefined)));
  });
  attach.on('data', (frame: AttachFrame__Output) => {
    frames.push(frame);
    if (pongs && frame.ping) attach.write({ pong: { id: frame.ping.id } });
  });
  attach.write({
    hello: {
      oldestWireVersion: WIRE_VERSIONS.oldest,
      newestWireVersion: WIRE_VERSIONS.newest,
      relation: 'CHILD',
      sessionEpoch: 1,
      sessionId,
      revocationsVersion: 0,
      softwareVersion: 'fake',
      ...hello,
    },
  });
  const close = (): void => {
    client.close();
    connection.raw.destroy();
  };
  onTestFinished(close);
  return { rpc, attach, frames, sessionId, tls: connection.tls, ended, close };
}

/** A TCP line between two nodes that can go silent without closing, as when a cable is pulled. */
export interface Cable {
  readonly address: string;
  cut(): void;
  heal(): void;
}

export async function cable(to: string, from: string = '127.0.0.1'): Promise<Cable> {
  let silent = false;
  const { address, sockets } = await tcpLine(() => to, {
    localAddress: from,
    carry(one, other) {
      one.on('data', (chunk) => void (silent || other.write(chunk)));
      one.on('close', () => {
        if (!silent) other.destroy();
      });
    },
  });
  return {
    address,
    cut: () => (silent = true),
    heal: () => {
      silent = false;
      // What was open while the line was silent has lost bytes.
      for (const socket of sockets) socket.destroy();
    },
  };
}

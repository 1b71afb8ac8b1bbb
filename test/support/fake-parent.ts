// A parent that speaks the link's real wire and can misbehave on purpose: it sends the given hello, answers pings,
// shows every frame that it gets, and serves `echo`.
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { once } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';
import { ALPN, linkServerOptions } from '../../certs/tls.ts';
import { GrpcHost } from '../../lib/grpc/server.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { serveEcho } from '../../mesh/echo.ts';
import { acceptTls } from '../../mesh/accept-tls.ts';
import { ControlStream } from '../../mesh/tunnel/control.ts';
import { Denials } from '../../mesh/denials.ts';
import { acceptSession } from '../../mesh/e2e/session.ts';
import { linkService } from '../../mesh/wire.ts';
import { WIRE_VERSIONS } from '../../mesh/wire-version.ts';
import type { AttachFrame, AttachFrame__Output } from '../../proto/gen/isthmus/mesh/v1/AttachFrame.ts';
import type { Hello } from '../../proto/gen/isthmus/mesh/v1/Hello.ts';
import type { LinkHandlers } from '../../proto/gen/isthmus/mesh/v1/Link.ts';
import type { TunnelFrame, TunnelFrame__Output } from '../../proto/gen/isthmus/mesh/v1/TunnelFrame.ts';
import type { TestNode } from './identities.ts';

type AttachCall = ServerDuplexStream<AttachFrame__Output, AttachFrame>;
type TunnelCall = ServerDuplexStream<TunnelFrame__Output, TunnelFrame>;

export interface FakeParent {
  readonly address: string;
  /** Every frame of every session. */
  readonly frames: AttachFrame__Output[];
  /** Whether it answers nothing on connections that come in from now on. */
  stalls: boolean;
  /** The latest session, once its hello was answered. */
  session(): { readonly attach: AttachCall; readonly tls: TLSSocket } | undefined;
}

/** Opens a port that accepts links as their connector's parent; it closes when the test ends. */
export async function fakeParent(node: TestNode, hello: Partial<Hello> = {}): Promise<FakeParent> {
  const frames: AttachFrame__Output[] = [];
  let session: { attach: AttachCall; tls: TLSSocket } | undefined;
  const fake = { address: '', frames, stalls: false, session: () => session };
  const host = new GrpcHost({ log: silentLogger() });
  host.add<LinkHandlers>(
    linkService,
    {
      Attach: (attach, { stream }) => {
        attach.on('data', (frame: AttachFrame__Output) => {
          frames.push(frame);
          if (frame.ping) attach.write({ pong: { id: frame.ping.id } });
          if (!frame.hello) return;
          const { sessionEpoch, sessionId } = frame.hello;
          const own = { oldestWireVersion: WIRE_VERSIONS.oldest, newestWireVersion: WIRE_VERSIONS.newest };
          const answer = { relation: 'PARENT', sessionEpoch, sessionId, revocationsVersion: 0 } as const;
          attach.write({ hello: { ...own, ...answer, ...hello } });
          session = { attach, tls: stream as TLSSocket };
        });
      },
      Tunnel: async (call: TunnelCall) => {
        const [{ open }] = (await once(call, 'data')) as [TunnelFrame__Output];
        if (!open) throw new Error('a tunnel was opened with the wrong message');
        call.write({ opened: {} });
        serveEchoOver(controlStream({ side: 'server', stream: call }), node);
      },
    },
    { Attach: { anyone: true }, Tunnel: { anyone: true } },
  );
  const server = net.createServer((raw) => {
    raw.on('error', () => undefined);
    if (fake.stalls) {
      raw.resume();
      return;
    }
    const options = { ...linkServerOptions(node.identity.current()), ALPNProtocols: [ALPN.link] };
    acceptTls(raw, options).then(
      (tls) => host.accept(tls),
      () => raw.destroy(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    await host.stop();
  });
  const { port } = server.address() as net.AddressInfo;
  fake.address = `127.0.0.1:${port}`;
  return fake;
}

/** The byte stream of a control tunnel after its opening messages. */
export function controlStream(call: ConstructorParameters<typeof ControlStream>[0]): Duplex {
  return new ControlStream(call, { whenFree: (send) => send(), closed: () => undefined, abandoned: () => undefined });
}

/** Serves `echo` as the accepting endpoint of a tunnel. */
export function serveEchoOver(transport: Duplex, { identity, revocations }: TestNode): void {
  const { node } = identity.current();
  const trust = { identity, revocations, denials: new Denials() };
  acceptSession(transport, trust, {
    name: 'echo',
    openedBy: ['server', 'relay', 'mirror', 'tentacle'],
    by: 'fake',
  }).then(
    (stream) => serveEcho(stream, () => ({ node, softwareVersion: 'fake', certificateNotAfterMs: 0 })),
    () => transport.destroy(),
  );
}

// An outbound link, which this node dials: connects to the neighbour and attaches.
import { ALPN, verifyPeer } from '../../certs/tls.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { unlessAborted } from '../../lib/async/waiting.ts';
import { grpcClient } from '../../lib/grpc/client.ts';
import { fromServiceError } from '../../lib/grpc/errors.ts';
import type { AttachFrame__Output } from '../../proto/gen/isthmus/mesh/v1/AttachFrame.ts';
import { nextFrame } from '../tunnel/next-frame.ts';
import { newTunnelId } from '../tunnel/request.ts';
import { LinkClientConstructor } from '../wire.ts';
import { connectTo, type ByteCounter } from './connection.ts';
import { exchangeRevocations, type LinkContext } from './context.ts';
import { checkRelation, decodeHello, encodeHello, nextEpoch, type Relation } from './hello.ts';
import { OutboundTransport } from './outbound-transport.ts';
import { LinkSession, type AttachStream } from './session.ts';

export interface DialTarget {
  /** A node id, or 'server' for any node of that role. */
  readonly node: string;
  readonly address: string;
  /** What the peer is to this node. */
  readonly relation: Relation;
  /** Whether this node requests the fast heartbeat from the start. */
  readonly fastHeartbeat: boolean;
}

/** Sets up a session with a neighbour. The signal bounds the whole handshake. */
export async function openOutboundLink(
  context: LinkContext,
  target: DialTarget,
  counter: ByteCounter,
  signal: AbortSignal,
): Promise<LinkSession> {
  const identity = context.trust.identity.current();
  const connection = await connectTo(target.address, ALPN.link, identity, signal);
  counter.add(connection.raw);
  const onFault = (error: IsthmusError): void => context.trust.denials.record(error, target.node, 'link');
  const connected = Object.assign(connection.tls, { onFault });
  const client = grpcClient(LinkClientConstructor, () => Promise.resolve(connected), {
    hop: target.node,
    windowBytes: context.windowBytes,
    // A link has its own heartbeat.
    expectsLife: false,
  });
  try {
    const peer = verifyPeer(connection.tls, identity, context.trust.revocations, { node: target.node });
    const rpc = await client.ready();
    const attach: AttachStream = rpc.attach();
    // Every call ends with a status; whoever waits on the call has a listener of its own.
    attach.on('error', () => undefined);
    const sessionId = newTunnelId();
    const own = { relation: target.relation === 'parent' ? ('child' as const) : ('parent' as const), sessionId };
    attach.write({ hello: encodeHello({ ...context.helloFacts(peer), ...own, epoch: nextEpoch() }) });
    const { hello } = await nextFrame<AttachFrame__Output>(attach, signal, peer.node);
    if (!hello) throw new IsthmusError('PROTOCOL', `${peer.node} did not say hello`);
    const facts = decodeHello(hello, peer.node);
    if (facts.relation !== target.relation) {
      throw new IsthmusError('LINK_DENIED', `${peer.node} claims to be this node's ${facts.relation}`);
    }
    checkRelation(context.self, peer, facts.relation);
    await exchangeRevocations(context, attach, peer, facts, signal);
    if (target.relation === 'child') {
      const address = connection.raw.remoteAddress;
      await unlessAborted(context.admitStart({ peer, start: facts.start, via: peer.node, address }), [signal]);
    }
    const session = new LinkSession(
      {
        peer,
        role: context.self.role,
        wireVersion: facts.wireVersion,
        relation: target.relation,
        epoch: facts.epoch,
        start: facts.start,
        id: sessionId,
        fastHeartbeat: target.fastHeartbeat,
      },
      attach,
      context,
      counter,
    );
    session.transport = new OutboundTransport(context, session, rpc, connection, () => client.close());
    const lost = (why: string) => session.end(new IsthmusError('UNREACHABLE', why, { hop: peer.node }));
    attach.on('error', (error) => session.end(fromServiceError(error, peer.node)));
    attach.on('end', () => setImmediate(() => lost(`${peer.node} ended the link`)));
    const closed = () => lost(`the connection to ${peer.node} was lost`);
    connection.raw.once('close', closed);
    // The client accepts no call once this has closed, so the session must not make one after it.
    connection.tls.once('close', closed);
    if (connection.raw.destroyed || connection.tls.destroyed) {
      throw new IsthmusError('UNREACHABLE', `the connection to ${peer.node} was lost`);
    }
    return session;
  } catch (thrown) {
    client.close();
    connection.tls.destroy();
    throw IsthmusError.from(thrown, 'UNREACHABLE', { hop: target.node });
  }
}

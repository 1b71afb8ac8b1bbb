// Enrolment over the mesh for nodes without a certificate: one service, few bytes, little time, not too often; direct,
// through relays, and down to a node that waits to be dialled.
import type { Duplex } from 'node:stream';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { selfSigned } from '../../certs/enrolment/session.ts';
import { ALPN } from '../../certs/tls.ts';
import { listenForEnrol } from '../../mesh/enrolment/inbound.ts';
import { openEnrol } from '../../mesh/enrolment/outbound.ts';
import { DEFAULT_LIMITS } from '../../mesh/limits.ts';
import { connectTo } from '../../mesh/link/connection.ts';
import { framed, readFrame } from '../../mesh/tunnel/frame.ts';
import { encodeRequest, newTunnelId } from '../../mesh/tunnel/request.ts';
import { bulkPrefaceCodec, tunnelOpenedCodec } from '../../mesh/wire.ts';
import { createTestMesh } from '../support/identities.ts';
import { startChain, startNode } from '../support/mesh.ts';
import { waitFor } from '../support/wait.ts';

const route = () => ({
  destination: 'server',
  source: 'newcomer',
  deadlineMs: 3_000,
  signal: AbortSignal.timeout(5_000),
});

/** The server's side: it sends back what it gets. */
function echoing(stream: Duplex): void {
  stream.on('error', () => undefined);
  stream.pipe(stream);
}

async function said(stream: Duplex, text: string): Promise<string> {
  stream.write(text);
  const [chunk] = (await once(stream, 'data')) as [Buffer];
  return chunk.toString();
}

describe('a node without a certificate', () => {
  it.each([0, 2])('reaches enrol on the server through %i relays', async (hops) => {
    const { server, relays } = await startChain(hops, 'up');
    server.mesh.listenEnrol(echoing);
    const entry = relays.at(-1) ?? server;
    const { tls, raw } = await openEnrol(entry.mesh.address!, route());
    onTestFinished(() => void raw.destroy());
    expect(await said(tls, 'token')).toBe('token');
  });

  it('reaches nothing else, whatever it asks for', async () => {
    const { server, relays } = await startChain(1, 'up');
    let enrolled = 0;
    server.mesh.listenEnrol(() => (enrolled += 1));
    for (const asked of [{ service: 'echo' }, { destination: 'tentacle-1' }, { service: 'identity' }]) {
      const connection = await connectTo(relays[0]!.mesh.address!, ALPN.enrol, undefined, AbortSignal.timeout(3_000));
      const request = encodeRequest(newTunnelId(), {
        source: 'newcomer',
        destination: 'server',
        path: [],
        crossed: [],
        service: 'enrol',
        serviceClass: 'control',
        deadlineMs: 1_000,
        ...asked,
      });
      connection.tls.write(framed(bulkPrefaceCodec.encode({ sessionId: Buffer.alloc(0), open: request })));
      const answer = tunnelOpenedCodec.decode(await readFrame(connection.tls));
      expect(answer.error?.code).toBe('FORBIDDEN');
      connection.raw.destroy();
    }
    for (const protocol of [ALPN.link, ALPN.bulk]) {
      const connection = await connectTo(relays[0]!.mesh.address!, protocol, undefined, AbortSignal.timeout(3_000));
      connection.tls.resume();
      await once(connection.raw, 'close');
    }
    expect(enrolled).toBe(0);
  });

  it('is cut off after its bytes, and kept out when it tries too often', async () => {
    const authority = await createTestMesh();
    const enrol = { ...DEFAULT_LIMITS.enrol, bytes: 10_000, perAddressBurst: 3, perAddressPerSecond: 0.001 };
    const server = await startNode(authority, 'server-1', 'server', {}, { enrol });
    server.mesh.listenEnrol(echoing);
    const first = await openEnrol(server.mesh.address!, route());
    first.tls.on('error', () => undefined).resume();
    first.tls.write(Buffer.alloc(20_000));
    // Long before its time limit.
    await waitFor(() => first.tls.closed, { limitMs: 10_000, what: 'the end of the stream' });
    for (let i = 0; i < 2; i += 1) (await openEnrol(server.mesh.address!, route())).raw.destroy();
    await expect(openEnrol(server.mesh.address!, route())).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  });

  it('is not let in by a leaf', async () => {
    const { tentacle } = await startChain(0, 'up');
    await expect(openEnrol(tentacle.mesh.address!, route())).rejects.toMatchObject({ code: 'NOT_A_RELAY' });
  });
});

describe('a node that waits to be dialled', () => {
  it('is reached by the server through the relay that dials it, and by no other path', async () => {
    const { server, relays, path } = await startChain(1, 'down');
    const listener = await listenForEnrol('127.0.0.1:0', await selfSigned());
    onTestFinished(() => listener.stop());
    const options = { node: 'newcomer', path, deadlineMs: 3_000 };
    await expect(server.mesh.dialEnrol(options)).rejects.toMatchObject({ code: 'UNREACHABLE', hop: 'relay-1' });
    relays[0]!.mesh.assignDials([{ node: 'newcomer', address: listener.address }]);
    const arriving = listener.next(AbortSignal.timeout(5_000));
    const bare = await server.mesh.dialEnrol(options);
    echoing(await arriving);
    expect(await said(bare, 'hello')).toBe('hello');
    bare.destroy();
  });
});

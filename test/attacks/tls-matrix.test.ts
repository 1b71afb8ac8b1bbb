// Each invalid certificate and TLS version at the mesh port (as a link and as bulk), at the end-to-end session of a
// tunnel, and at the port where a mirror serves packages. No handler is reached, and the denial is recorded once.
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { connect, type ConnectionOptions } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { generateKey } from '../../certs/keys.ts';
import { NODE_ROLES } from '../../contract/nodes.ts';
import { ALPN, linkClientOptions } from '../../certs/tls.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { requireHostPort } from '../../lib/net/host-port.ts';
import { startListener } from '../../mesh/link/listener.ts';
import { DEFAULT_LIMITS } from '../../mesh/limits.ts';
import { Denials } from '../../mesh/denials.ts';
import { acceptSession } from '../../mesh/e2e/session.ts';
import { listenOpenPort } from '../../mirror/open-port.ts';
import { createTestMesh, type TestMesh, type TestNode } from '../support/identities.ts';
import { leafExtensions, leafOf } from '../support/leaf.ts';
import { waitFor } from '../support/wait.ts';

const dayMs = 86_400_000;
const { notCa, usage, san, both } = leafExtensions;

interface Port {
  readonly address: string;
  readonly protocol: string | undefined;
  /** Who reached a handler. */
  readonly served: string[];
}

type Listen = (node: TestNode, denials: Denials) => Promise<Port>;

const meshPort =
  (protocol: string): Listen =>
  async ({ identity, revocations }, denials) => {
    const served: string[] = [];
    const handlers = {
      link: (_: unknown, { node }: { node: string }) => void served.push(node),
      bulk: (_: unknown, { node }: { node: string }) => void served.push(node),
      enrol: () => void served.push('enrol'),
      // The peer may get the reason, and nothing else: floods.test.ts and links.test.ts.
      denyLink: (connection: { tls: { destroy(): void } }) => connection.tls.destroy(),
    };
    const trust = { identity, revocations, denials };
    const listener = await startListener('127.0.0.1:0', trust, DEFAULT_LIMITS, handlers, silentLogger());
    onTestFinished(() => listener.stop());
    return { address: listener.address, protocol, served };
  };

const ports: Record<string, Listen> = {
  'the mesh port, as a link': meshPort(ALPN.link),
  'the mesh port, as bulk': meshPort(ALPN.bulk),
  'the end-to-end session of a tunnel': async ({ identity, revocations }, denials) => {
    const served: string[] = [];
    const trust = { identity, revocations, denials };
    const server = createServer((raw) => {
      acceptSession(raw, trust, { name: 'echo', openedBy: NODE_ROLES, by: '127.0.0.1' }).then(
        ({ peer }) => served.push(peer.node),
        () => undefined,
      );
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    return { address: `127.0.0.1:${port}`, protocol: 'isthmus-echo/1', served };
  },
  'the feed port of a mirror': async ({ identity, revocations }, denials) => {
    const served: string[] = [];
    const port = await listenOpenPort('127.0.0.1:0', {
      ...{ identity, revocations, denials, log: silentLogger() },
      onStream: (_stream, { node }) => void served.push(node),
    });
    onTestFinished(() => port.stop());
    return { address: `127.0.0.1:${port.port}`, protocol: undefined, served };
  },
};

const good = async (mesh: TestMesh) => linkClientOptions(await mesh.identity('t1', 'tentacle'));
const old = (version: 'TLSv1.1' | 'TLSv1.2') => async (mesh: TestMesh) => ({
  ...(await good(mesh)),
  minVersion: version,
  maxVersion: version,
  ciphers: 'DEFAULT@SECLEVEL=0',
  secureContext: undefined,
});
const leaf = (parts: Parameters<typeof leafOf>[1]) => async (mesh: TestMesh) =>
  linkClientOptions(await leafOf(mesh, parts));

const clients: readonly (readonly [
  what: string,
  code: string,
  make: (mesh: TestMesh) => Promise<ConnectionOptions>,
])[] = [
  [
    'no certificate',
    'PEER_CERTIFICATE_MISSING',
    () => Promise.resolve({ minVersion: 'TLSv1.3', rejectUnauthorized: false }),
  ],
  [
    'a self-signed certificate',
    'PEER_CERTIFICATE_UNTRUSTED',
    async (mesh) => {
      const { keyPem } = await generateKey();
      return leaf({ issuer: { subject: 'isthmus mesh-a', keyPem } })(mesh);
    },
  ],
  [
    'a certificate of another authority',
    'PEER_CERTIFICATE_UNTRUSTED',
    async () => good(await createTestMesh('mesh-a')),
  ],
  [
    'an expired certificate',
    'PEER_CERTIFICATE_EXPIRED',
    async (mesh) => linkClientOptions(await mesh.identity('t1', 'tentacle', { nowMs: Date.now() - 9 * dayMs })),
  ],
  [
    'a certificate that is not valid yet',
    'PEER_CERTIFICATE_NOT_YET_VALID',
    async (mesh) => linkClientOptions(await mesh.identity('t1', 'tentacle', { nowMs: Date.now() + dayMs })),
  ],
  [
    'a revoked certificate',
    'PEER_CERTIFICATE_REVOKED',
    async (mesh) => linkClientOptions(await mesh.identity('gone', 'tentacle')),
  ],
  [
    'a certificate that a leaf has signed',
    'PEER_CERTIFICATE_UNTRUSTED',
    async (mesh) => {
      const { keyPem } = await mesh.identity('relay-eu', 'relay');
      return leaf({ issuer: { subject: 'relay-eu', keyPem } })(mesh);
    },
  ],
  [
    'a certificate for servers only',
    'PEER_CERTIFICATE_USAGE',
    leaf({ extensions: [notCa, usage, { name: 'extKeyUsage', serverAuth: true }, san] }),
  ],
  ['a certificate without a name', 'PEER_CERTIFICATE_NAME', leaf({ extensions: [notCa, usage, both] })],
  ['TLS 1.1', 'E2E_TLS', old('TLSv1.1')],
  ['TLS 1.2', 'E2E_TLS', old('TLSv1.2')],
];

/** Connects, sends something to serve, and waits until the peer has closed. */
async function attempt({ address, protocol }: Port, options: ConnectionOptions): Promise<void> {
  const socket = connect({
    ...options,
    ...requireHostPort(address),
    ...(protocol === undefined ? {} : { ALPNProtocols: [protocol] }),
  });
  socket.on('error', () => undefined).resume();
  socket.once('secureConnect', () => socket.write('GET /v1/blobs/00 HTTP/1.1\r\nhost: mirror\r\n\r\n'));
  await waitFor(() => socket.closed, { what: 'the end of the connection' });
}

describe.each(Object.entries(ports))('%s', (_, listen) => {
  it.each(clients)('rejects %s with %s, and serves nothing', async (_what, code, make) => {
    const mesh = await createTestMesh('mesh-a');
    const self = await mesh.node('self', 'server');
    const options = await make(mesh);
    self.revocations.merge(mesh.revoke(1, [{ node: 'gone', revokedAtMs: Date.now() + 1_000 }]));
    const denials = new Denials();
    const port = await listen(self, denials);
    for (let i = 0; i < 2; i += 1) await attempt(port, options);
    expect(port.served).toEqual([]);
    expect(denials.latest().map(({ code: recorded, by }) => `${recorded} ${by}`)).toEqual([`${code} 127.0.0.1`]);
  });
});

it.each(['server', 'mirror', 'tentacle', 'relay'] as const)('a %s reaches the feed port', async (role) => {
  const mesh = await createTestMesh('mesh-a');
  const denials = new Denials();
  const port = await ports['the feed port of a mirror']!(await mesh.node('m1', 'mirror'), denials);
  const socket = connect({ ...linkClientOptions(await mesh.identity('n1', role)), ...requireHostPort(port.address) });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined).resume();
  await once(socket, 'secureConnect');
  await waitFor(() => port.served.length > 0, { what: 'the handler' });
  expect([port.served, denials.latest()]).toEqual([['n1'], []]);
});

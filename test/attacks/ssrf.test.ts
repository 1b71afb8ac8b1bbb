// SSRF: nothing makes a node connect to an address where no node can be: not the URL of a feed, however it is spelled,
// not a name that resolves there, now or later, not a redirect. Not one byte is sent.
import { lookup } from 'node:dns/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { IdentityStore } from '../../certs/identity.ts';
import { RevocationList } from '../../certs/revocations.ts';
import { MESH_SERVICES } from '../../contract/services.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { addressFault } from '../../lib/net/network-address.ts';
import { askForBlob } from '../../lib/blobs/blob-client.ts';
import { connectSource, type SourceAccess } from '../../node/sources/connect.ts';
import { createMesh } from '../../mesh/mesh.ts';
import { Denials } from '../../mesh/denials.ts';
import { reportToServer } from '../../node/report.ts';
import { start as startMirror } from '../../mirror/start.ts';
import { startOrigin, status } from '../packages/origin.ts';
import { WholeMesh } from '../server/whole.ts';
import { startControlPlane } from '../support/control-plane.ts';
import { createTestMesh, type TestMesh, type TestNode } from '../support/identities.ts';
import { waitFor } from '../support/wait.ts';

vi.mock('node:dns/promises', async (original) => {
  const real = await original<{ lookup: typeof lookup }>();
  return { ...real, lookup: vi.fn(real.lookup) };
});

const signal = new AbortController().signal;
let connections: Socket[];
let port: number;
beforeEach(async () => {
  connections = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    connections.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  port = (server.address() as AddressInfo).port;
  onTestFinished(async () => {
    for (const socket of connections) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});
afterEach(() => vi.mocked(lookup).mockClear());

let authority: TestMesh;
let node: TestNode;
const removals: (() => void)[] = [];
beforeAll(async () => {
  authority = await createTestMesh('test-mesh', (remove) => removals.push(remove));
  node = await authority.node('web-1', 'tentacle');
});
afterAll(() => removals.forEach((remove) => remove()));

function access(loopback: boolean): SourceAccess & { dialled: number } {
  const { identity, revocations } = node;
  const made = {
    ...{ identity, revocations, loopback, dialled: 0 },
    mesh: {
      denials: new Denials(),
      dial: () => {
        made.dialled += 1;
        return Promise.reject(new Error('there is no mesh here'));
      },
    },
  };
  return made;
}

describe('the URL of a feed', () => {
  it.each([
    ...['127.0.0.1', '127.1', '2130706433', '0x7f000001', '0177.0.0.1', '0x7f.1', '[::1]', '[::ffff:127.0.0.1]', 'localhost'],
    ...['[::ffff:7f00:1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]', '[::127.0.0.1]', '127.0.0.1.', '１２７.0.0.1'],
    ...['0.0.0.0', '[::]', '169.254.169.254', '0xa9fea9fe', '[fe80::1]', '[fd00:ec2::254]', '224.0.0.1', '255.255.255.255'],
  ])('at %s is forbidden, and not connected to', async (host) => {
    const given = access(false);
    const asked = connectSource({ kind: 'mesh', node: 'mirror-1', path: [], url: `https://${host}:${port}` }, given, signal);
    await expect(asked).rejects.toMatchObject({ code: 'URL_FORBIDDEN', field: 'url' });
    expect([connections.length, given.dialled]).toEqual([0, 0]);
    expect(given.mesh.denials.latest()).toMatchObject([{ code: 'URL_FORBIDDEN', by: 'mirror-1', what: 'feed' }]);
  }); // prettier-ignore

  it.each([
    ...['file:///etc/passwd', 'http://10.0.0.5:80', 'https://user@10.0.0.5', 'https://:pw@10.0.0.5', 'ftp://10.0.0.5'],
    ...['https://10.0.0.5/path', 'https://10.0.0.5/?a', 'https://10.0.0.5/#a', 'gopher://10.0.0.5', '', 'data:,x', '//10.0.0.5'],
  ])('that is %j is forbidden', async (url) => {
    const asked = connectSource({ kind: 'mesh', node: 'mirror-1', path: [], url }, access(true), signal);
    await expect(asked).rejects.toMatchObject({ code: 'URL_FORBIDDEN' });
  }); // prettier-ignore

  it.each(['169.254.169.254', '[::ffff:169.254.169.254]', '0.0.0.0', '[fe80::1]', '100.100.100.200'])(
    'at %s is forbidden also where loopback is allowed',
    async (host) => {
      const asked = connectSource(
        { kind: 'mesh', node: 'm', path: [], url: `https://${host}:${port}` },
        access(true),
        signal,
      );
      await expect(asked).rejects.toMatchObject({ code: 'URL_FORBIDDEN' });
    },
  );

  it('may be in a private network, and in a public one', () => {
    for (const address of [
      '10.0.0.5',
      '192.168.1.1',
      '172.16.0.1',
      '100.64.0.1',
      'fd12::1',
      '93.184.216.34',
      '2a00::1',
    ]) {
      expect(addressFault(address, { loopback: false })).toBeUndefined();
    }
  });

  it('is resolved once: a name that means another source later changes nothing', async () => {
    vi.mocked(lookup)
      .mockResolvedValueOnce([{ address: '127.0.0.2', family: 4 }] as never)
      .mockResolvedValue([{ address: '127.0.0.1', family: 4 }] as never);
    const asked = connectSource(
      { kind: 'mesh', node: 'm', path: [], url: `https://feed.example:${port}` },
      access(true),
      signal,
    );
    asked.catch(() => undefined);
    await waitFor(() => connections.length > 0, { what: 'the connection' });
    expect(connections[0]!.localAddress).toMatch(/127\.0\.0\.2$/);
    expect(vi.mocked(lookup)).toHaveBeenCalledTimes(1);
    connections[0]!.destroy();
    await expect(asked).rejects.toThrow();
  });

  it('is forbidden when one of the addresses of its name is', async () => {
    const mixed = ['93.184.216.34', '169.254.169.254'].map((address) => ({ address, family: 4 }));
    vi.mocked(lookup).mockResolvedValueOnce(mixed as never);
    const asked = connectSource(
      { kind: 'mesh', node: 'm', path: [], url: 'https://feed.example' },
      access(true),
      signal,
    );
    await expect(asked).rejects.toMatchObject({ code: 'URL_FORBIDDEN' });
  });

  it('is not left for where it redirects to', async () => {
    for (const code of [301, 302, 303, 307, 308]) {
      const origin = await startOrigin(
        authority,
        'mirror-1',
        Buffer.alloc(9),
        status(code, { location: `http://127.0.0.1:${port}/` }),
      );
      const source = { kind: 'mesh', node: 'mirror-1', path: [], url: origin.url } as const;
      const stream = await connectSource(source, access(true), signal);
      const asked = askForBlob(stream, {
        sha256: 'a'.repeat(64),
        downloadToken: 'p',
        fromByte: 0,
        signal,
        stallMs: 5_000,
      });
      await expect(asked).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
    }
    expect(connections).toEqual([]);
  });
});

describe('what is kept for others to connect to', () => {
  it('is not the URL of a mirror that says it is where no node can be', async () => {
    const mesh = await WholeMesh.up();
    await mesh.api.ask('POST', '/sites', { id: 'eu' });
    const { dataDir, parents } = await mesh.join({ id: 'mirror-1', role: 'mirror' });
    // Its own operator learns of it at once.
    await expect(
      startMirror({ dataDir, parents, feedUrl: 'https://0xa9fea9fe:443' }, { log: silentLogger() }),
    ).rejects.toMatchObject({ code: 'URL_FORBIDDEN', field: 'feedUrl' });
    const identity = await IdentityStore.open(dataDir);
    const { authorityPem, meshId } = identity.current();
    const revocations = await RevocationList.open(dataDir, authorityPem, meshId);
    const log = silentLogger();
    const liar = await createMesh(
      { parents, dials: [] },
      { identity, revocations, log, relaying: false, services: MESH_SERVICES },
    );
    onTestFinished(() => liar.stop());
    const reports = reportToServer({
      ...{ mesh: liar, identity, log, dataDir },
      extra: () => ({ feedUrl: 'https://169.254.169.254', cachedBytes: 0 }),
    });
    onTestFinished(() => reports.stop());
    const rejected = async () =>
      (await mesh.api.ask('GET', '/events?denied=true&type=peer.denied')).items as {
        actor: string;
        subject: string;
        data: object;
      }[];
    await waitFor(async () => (await rejected()).length > 0, { what: 'the audit event' });
    expect(await rejected()).toMatchObject([
      { actor: 'server-1', subject: 'mirror-1', data: { code: 'URL_FORBIDDEN', what: 'feedUrl' } },
    ]);
    expect(await mesh.api.ask('GET', '/nodes/mirror-1')).toMatchObject({ feedUrl: null });
  });

  it('is no such address for a relay to dial', async () => {
    const plane = await startControlPlane();
    for (const dialAddress of [
      ...['169.254.169.254:80', '0xa9fea9fe:80', '2852039166:80', '0.0.0.0:8444', '[fe80::1]:8444', '224.0.0.1:1'],
    ]) {
      const asked = plane.token({ role: 'relay', dialAddress });
      await expect(asked, dialAddress).rejects.toMatchObject({
        code: 'URL_FORBIDDEN',
        field: 'parents[0].dialAddress',
      });
    }
    expect(await plane.events('token.created')).toEqual([]);
  });

  it('given to the API is one denial', async () => {
    const mesh = await WholeMesh.up();
    await mesh.api.ask('POST', '/sites', { id: 'eu' });
    const parents = [{ node: 'server', dialAddress: '169.254.169.254:80' }];
    const asked = mesh.api.ask('POST', '/tokens', { role: 'relay', site: 'eu', parents });
    await expect(asked).rejects.toThrow('URL_FORBIDDEN');
    expect((await mesh.api.ask('GET', '/events?denied=true&type=request.denied')).items).toMatchObject([
      { subject: 'POST /api/v1/tokens', data: { code: 'URL_FORBIDDEN' } },
    ]);
  });
});

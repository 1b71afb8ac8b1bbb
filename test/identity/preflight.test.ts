// What can stop a join: each case has its own code, names the check that failed, and leaves nothing behind.
import { existsSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkClock, checkProxy, type CheckResult } from '../../certs/enrolment/preflight.ts';
import { credentialsOf, ALPN } from '../../certs/tls.ts';
import { selfSigned } from '../../certs/enrolment/session.ts';
import type { IsthmusError } from '../../contract/errors.ts';
import { joinNode, type JoinOptions } from '../../node/join/join.ts';
import { listenForEnrol } from '../../mesh/enrolment/inbound.ts';
import { acceptTls } from '../../mesh/accept-tls.ts';
import { startControlPlane } from '../support/control-plane.ts';
import { createTestMesh } from '../support/identities.ts';
import { tempDir } from '../support/temp.ts';

const someToken = `ist_01234567-0123-7123-8123-0123456789ab_${'A'.repeat(43)}`;
const somePin = 'ab'.repeat(32);

interface Failure {
  readonly code: string;
  readonly hop?: string;
  readonly checks: string[];
  readonly message: string;
}

async function failing(options: Partial<JoinOptions>): Promise<Failure> {
  const dataDir = join(await tempDir(), 'node');
  const checks: CheckResult[] = [];
  const report = (check: CheckResult): void => void checks.push(check);
  const thrown: unknown = await joinNode({ dataDir, token: someToken, pin: somePin, report, ...options }).catch(
    (error: unknown) => error,
  );
  expect(thrown).toMatchObject({ name: 'IsthmusError' });
  expect(existsSync(dataDir)).toBe(false);
  const { code, hop, message } = thrown as IsthmusError;
  return {
    code,
    message,
    ...(hop === undefined ? {} : { hop }),
    checks: checks.map(({ check, outcome }) => `${check} ${outcome}`),
  };
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
  const address = server.address();
  return `127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}`;
}

describe('a join stops at', () => {
  test('a name that does not resolve', async () => {
    const { code, hop, checks } = await failing({ addresses: ['no-such-host.invalid:8444'] });
    const expected = { code: 'JOIN_DNS', hop: 'no-such-host.invalid:8444', checks: ['address failed'] };
    expect({ code, hop, checks }).toEqual(expected);
  });

  test.each([
    [{}, 'JOIN_TCP'],
    [{ proxy: 'http://proxy:3128' }, 'JOIN_PROXY'],
  ])('a closed port (proxies: %j)', async (proxies, expected) => {
    const { code, hop, checks } = await failing({ addresses: ['127.0.0.1:1'], proxies });
    expect({ code, hop, checks }).toEqual({ code: expected, hop: '127.0.0.1:1', checks: ['address ok', 'tcp failed'] });
  });

  test('the end of its wait, when no parent dials it', async () => {
    const { code, message, checks } = await failing({ listen: '127.0.0.1:0', waitMs: 200 });
    expect({ code, checks }).toEqual({ code: 'JOIN_NOT_DIALLED', checks: ['tcp ok', 'tcp failed'] });
    expect(message).toMatch(/^no parent dialled 127\.0\.0\.1:\d+ within 0\.2 s$/);
  });

  test('a port of its own that is in use, before the token is shown to anybody', async () => {
    const server = await startControlPlane();
    const { id, token } = await server.token({ role: 'relay' });
    const listen = await listening(createServer());
    const { code, checks } = await failing({ addresses: [server.address], listen, token, pin: server.pin });
    expect({ code, checks }).toEqual({ code: 'PORT_IN_USE', checks: ['port failed'] });
    expect((await failing({ listen })).checks).toEqual(['port failed']);
    const elsewhere = await failing({ listen: '192.0.2.1:8444' });
    expect(elsewhere).toMatchObject({ code: 'ADDRESS_NOT_LOCAL', checks: ['port failed'] });
    expect(await server.events('token.bound')).toEqual([]);
    expect(await server.store.tokens.get(id)).toMatchObject({ boundNode: null, usedAt: null });
  });

  test('a port where something else answers', async () => {
    const http = await listening(createHttpServer((_request, response) => response.end('hello')));
    const api = await listening(createHttpsServer(await selfSigned()));
    const hangsUp = await listening(createServer((socket) => socket.destroy()));
    for (const [address, what] of [
      [http, 'the port does not speak TLS'],
      [api, 'the port speaks TLS, but is not a port of the mesh'],
      [hangsUp, undefined],
    ] as const) {
      const failure = await failing({ addresses: [address] });
      expect(failure).toMatchObject({
        code: 'JOIN_TLS',
        checks: ['address ok', 'tcp ok', 'proxy ok', 'pin failed'],
      });
      if (what === undefined) expect(failure.message).not.toContain('what listens there');
      else expect(failure.message).toContain(what);
    }
  });

  test.each([[{ pin: 'ab' }], [{ token: 'nonsense' }], [{ addresses: [], listen: undefined }]])(
    'a request that cannot be right: %j',
    async (options) => {
      const { checks } = await failing({ addresses: ['127.0.0.1:1'], ...options });
      expect(checks).toEqual([]);
    },
  );
});

describe('a man in the middle', () => {
  test('with a mesh of his own is rejected by the pin, and never sees the token', async () => {
    const victim = await startControlPlane();
    const attacker = await startControlPlane();
    const { token } = await victim.token();
    const { code, checks } = await failing({ addresses: [attacker.address], pin: victim.pin, token });
    expect(code).toBe('CA_FINGERPRINT');
    expect(checks.at(-1)).toBe('pin failed');
    expect(await attacker.denials('enrolment.denied')).toHaveLength(0);
  });

  test('who shows the right authority behind a leaf of his own is rejected too', async () => {
    const victim = await startControlPlane();
    const other = await createTestMesh();
    const forged = await other.identity('server-1', 'server');
    const { address } = await middle({ ...forged, authorityPem: victim.authority.authorityPem });
    expect((await failing({ addresses: [address], pin: victim.pin })).code).toMatch(/CA_FINGERPRINT/);
  });

  test('who is a relay of the mesh cannot play the server', async () => {
    const victim = await startControlPlane();
    const { address } = await middle(await victim.authority.identity('relay-eu', 'relay'));
    expect((await failing({ addresses: [address], pin: victim.pin })).code).toBe('PEER_UNEXPECTED');
  });

  /** Accepts enrolments like a node of the mesh, and answers the session inside itself. */
  async function middle(identity: Parameters<typeof credentialsOf>[0]): Promise<{ address: string }> {
    const listener = await listenForEnrol('127.0.0.1:0', await selfSigned());
    onTestFinished(() => listener.stop());
    void listener
      .next(AbortSignal.timeout(20_000))
      .then((bare) =>
        acceptTls(bare, { ...credentialsOf(identity), minVersion: 'TLSv1.3', ALPNProtocols: [ALPN.enrol] }),
      )
      .catch(() => undefined);
    return { address: listener.address };
  }
});

test('clocks may be five minutes apart, and no more; both are in the message', () => {
  const here = Date.UTC(2026, 5, 1, 12);
  expect(checkClock(here + 299_000, here - 10, here + 10)).toMatchObject({ outcome: 'ok', detail: '299.0 s apart' });
  expect(() => checkClock(here + 301_000, here - 10, here + 10)).toThrow(
    expect.objectContaining({
      code: 'CLOCK_SKEW',
      message: 'the server says 2026-06-01T12:05:01.000Z, this machine 2026-06-01T12:00:00.000Z',
    }),
  );
});

test.each([
  [{}, 'ok'],
  [{ proxy: 'http://p:1' }, 'warning'],
  [{ proxy: 'http://p:1', noProxy: 'localhost, .example.com' }, 'ok'],
  [{ proxy: 'http://p:1', noProxy: 'ample.com' }, 'warning'],
  [{ proxy: 'http://p:1', noProxy: '*' }, 'ok'],
])('a proxy environment of %j is %s', (environment, outcome) => {
  expect(checkProxy('relay.example.com', environment).outcome).toBe(outcome);
});

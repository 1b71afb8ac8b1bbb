// Joining a mesh: directly, through relays, and by nodes that are dialled; what is written, and that a failed join
// leaves nothing behind.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import type { CheckResult } from '../../certs/enrolment/preflight.ts';
import { IdentityStore, type NodeIdentity } from '../../certs/identity.ts';
import { sessionByDialling } from '../../certs/enrolment/session.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { grpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { joinNode, type JoinOptions } from '../../node/join/join.ts';
import { openEnrol } from '../../mesh/enrolment/outbound.ts';
import { DEFAULT_LIMITS } from '../../mesh/limits.ts';
import { WIRE_VERSIONS } from '../../mesh/wire-version.ts';
import type { BeginResponse__Output } from '../../proto/gen/isthmus/identity/v1/BeginResponse.ts';
import type { EnrolmentClient } from '../../proto/gen/isthmus/identity/v1/Enrolment.ts';
import * as relay from '../../relay/start.ts';
import { createPackageSource } from '../../server/packages/package-sources.ts';
import { cable } from '../support/fake-link.ts';
import { startControlPlane, type ControlPlane } from '../support/control-plane.ts';
import { lockDataDir } from '../../lib/files/data-lock.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';

const identityTypes = loadDefinitions('isthmus/identity/v1/identity.proto').isthmus.identity.v1;

type Attempt = Partial<JoinOptions> & Pick<JoinOptions, 'token'>;

async function attempt(server: ControlPlane, options: Attempt): Promise<{ identity: NodeIdentity; dataDir: string }> {
  const dataDir = options.dataDir ?? join(await tempDir(), 'node');
  const connection = options.listen === undefined ? { addresses: [server.address] } : {};
  const identity = await joinNode({ dataDir, pin: server.pin, ...connection, ...options });
  return { identity, dataDir };
}

async function denial(promise: Promise<unknown>): Promise<IsthmusError> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(IsthmusError);
  return thrown as IsthmusError;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Joins a relay and starts it. */
async function startRelay(
  server: ControlPlane,
  name: string,
  input: { parent?: string; address?: string; dialled?: boolean } = {},
) {
  const { parent = 'server', address = server.address, dialled = false } = input;
  const listen = `127.0.0.1:${await freePort()}`;
  const dialAddress = dialled ? { dialAddress: listen } : {};
  const { token } = await server.token({ role: 'relay', name, parent, ...dialAddress });
  const { dataDir } = await attempt(server, { token, listen, ...(dialled ? {} : { addresses: [address] }) });
  const parents = [{ node: parent === 'server' ? 'server-1' : parent, ...(dialled ? {} : { address }) }];
  const running = await relay.start({ dataDir, listen, parents }, { log: silentLogger() });
  onTestFinished(() => running.stop());
  await waitFor(async () => reported(server, name), { what: `a report of ${name}` });
  return { address: listen, dataDir, running };
}

async function reported(server: ControlPlane, name: string): Promise<boolean> {
  return (await server.store.nodes.find(name))?.lastSeenAt !== null;
}

/** Guesses at a token in one session; returns the codes, or undefined when no further session is accepted. */
async function guess(server: ControlPlane, id: string, times: number): Promise<string[] | undefined> {
  const signal = AbortSignal.timeout(30_000);
  const route = { destination: 'server', source: 'joining', deadlineMs: 10_000, signal };
  const opened = await openEnrol(server.address, route).catch((error: IsthmusError) => {
    expect(error.code).toBe('RESOURCE_EXHAUSTED');
    return undefined;
  });
  if (opened === undefined) return undefined;
  const { socket } = await sessionByDialling(opened.tls, server.pin);
  const client = grpcClient<EnrolmentClient>(identityTypes.Enrolment, () => Promise.resolve(socket));
  try {
    const versions = { oldestWireVersion: WIRE_VERSIONS.oldest, newestWireVersion: WIRE_VERSIONS.newest };
    const begin = { ...versions, softwareVersion: 'test', tokenId: id };
    const { nonce } = await client.unary<BeginResponse__Output>((c, o, done) => c.begin(begin, o, done), {
      deadlineMs: 9_000,
    });
    const [tokenProof, publicKeySpki] = [Buffer.alloc(32), Buffer.alloc(9)];
    const wrong = { tokenId: id, tokenProof, publicKeySpki, keyProof: Buffer.alloc(9), nonce };
    // Over streams of a connected client: one that dials again would open another session.
    const enrolment = await client.ready();
    const codes = await Promise.all(
      Array.from(
        { length: times },
        () =>
          new Promise<string>((resolve) =>
            enrolment.enrol(wrong, { deadline: Date.now() + 30_000 }, (error) =>
              resolve(error === null ? 'let in' : client.errorOf(error).code),
            ),
          ),
      ),
    );
    // A fast guesser floods the connection, which then ends together with its requests.
    const unanswered = socket.destroyed ? ['UNREACHABLE', 'INTERNAL'] : [];
    return codes.map((code) => (unanswered.includes(code) ? 'ended' : code));
  } finally {
    client.close();
  }
}

describe('a node joins', () => {
  test('directly: identity on disk, rows and events on the server, every check told', async () => {
    const server = await startControlPlane();
    const checks: CheckResult[] = [];
    const { token } = await server.token({ name: 'web-1', targetRoles: ['web'] });
    const { identity, dataDir } = await attempt(server, { token, report: (check) => checks.push(check) });
    expect(identity).toMatchObject({ node: 'web-1', role: 'tentacle', site: 'eu', meshId: 'test-mesh' });
    expect((await IdentityStore.open(dataDir)).peer().node).toBe('web-1');
    expect(statSync(join(dataDir, 'identity', 'node.json')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(dataDir, 'config.yaml'), 'utf8')).toBe(
      `parents:\n  - node: server-1\n    address: ${server.address}\n`,
    );
    expect(readdirSync(dataDir).sort()).toEqual(['config.yaml', 'identity']);
    expect(checks.map(({ check, outcome }) => `${check} ${outcome}`)).toEqual([
      'address ok',
      'tcp ok',
      'proxy ok',
      'pin ok',
      'clock ok',
      'enrol ok',
      'mesh ok',
      'confirm ok',
    ]);
    const node = await server.store.nodes.get('web-1');
    expect(node).toMatchObject({
      ...{ role: 'tentacle', site: 'eu', state: 'active' },
      parents: [{ node: 'server', dialAddress: null }],
    });
    expect(await server.store.machines.get('web-1')).toMatchObject({
      targetRoles: ['web'],
      routes: [{ kind: 'direct' }],
    });
    expect(await server.store.nodes.certificates('web-1')).toHaveLength(1);
    expect((await server.events('node.joined')).map(({ subject }) => subject)).toEqual(['server-1', 'web-1']);
    expect(await server.events('machine.created')).toHaveLength(1);
    expect(await server.denials('enrolment.denied')).toHaveLength(0);
  });

  test('through two relays, of which one is dialled', async () => {
    const server = await startControlPlane();
    await startRelay(server, 'eu', { dialled: true });
    const eu = await server.store.nodes.get('eu');
    const pci = await startRelay(server, 'eu-pci', { parent: 'eu', address: eu.parents[0]?.dialAddress ?? '' });
    const { token } = await server.token({ name: 'web-9', parent: 'eu-pci' });
    await attempt(server, { token, addresses: [pci.address] });
    expect(await server.store.machines.get('web-9')).toMatchObject({
      routes: [{ kind: 'path', via: ['eu', 'eu-pci'] }],
    });
  });

  test('that waits to be dialled by a relay', async () => {
    const server = await startControlPlane();
    await startRelay(server, 'eu');
    const listen = `127.0.0.1:${await freePort()}`;
    const { token, joinCommand } = await server.token({ name: 'web-2', parent: 'eu', dialAddress: listen });
    expect(joinCommand).toContain("--listen '[::]:");
    const { identity, dataDir } = await attempt(server, { token, listen });
    expect(identity.node).toBe('web-2');
    expect(readFileSync(join(dataDir, 'config.yaml'), 'utf8')).toBe(`listen: ${listen}\nparents:\n  - node: eu\n`);
    expect(await server.store.nodes.get('web-2')).toMatchObject({ parents: [{ node: 'eu', dialAddress: listen }] });
  });

  test('that waits to be dialled, with the later of two tokens that were made for it', async () => {
    const server = await startControlPlane();
    const listen = `127.0.0.1:${await freePort()}`;
    // The later one corrects the address of the first.
    const wrong = await server.token({ name: 'web-3', dialAddress: `127.0.0.1:${await freePort()}` });
    const { token } = await server.token({ name: 'web-3', dialAddress: listen });
    // The first token is not for the address that is dialled now.
    const earlier = await denial(attempt(server, { token: wrong.token, listen }));
    expect(earlier.code).toBe('TOKEN_SCOPE');
    expect(earlier.message).toContain(`, not at ${listen}, which a later token for it names`);
    const { identity } = await attempt(server, { token, listen });
    expect(identity.node).toBe('web-3');
  });
});

describe('the address that the children of a relay dial', () => {
  test('is the one that its token names, in its settings and in their join commands', async () => {
    const server = await startControlPlane();
    const listen = `127.0.0.1:${await freePort()}`;
    const address = 'relay.internal:8555';
    const { token, joinCommand } = await server.token({ role: 'relay', name: 'eu', address });
    expect(joinCommand).toContain("--listen '[::]:8555'");
    const { dataDir } = await attempt(server, { token, listen, addresses: [server.address] });
    const settings = parse(readFileSync(join(dataDir, 'config.yaml'), 'utf8')) as relay.RelayConfig;
    expect(settings).toMatchObject({ address });
    const running = await relay.start({ ...settings, dataDir }, { log: silentLogger() });
    onTestFinished(() => running.stop());
    await waitFor(async () => reported(server, 'eu'), { what: 'a report of eu' });
    const child = await server.token({ name: 'web-1', parent: 'eu' });
    expect(child.joinCommand).toContain(`--address ${address} `);
  });

  test.each<[string, Parameters<ControlPlane['token']>[0], string]>([
    ['a machine', { address: 'a:1' }, 'a tentacle has no children that could dial it'],
    ['no address', { role: 'relay', address: 'a' }, 'an address is host:port'],
  ])('is rejected for %s', async (_, input, message) => {
    const server = await startControlPlane();
    await expect(server.token(input)).rejects.toMatchObject({ code: 'INVALID_FIELD', field: 'address', message });
  });
});

describe('a denied join leaves nothing but one audit event', () => {
  async function expectNothing(server: ControlPlane, dataDir: string, denials: number): Promise<void> {
    expect(existsSync(dataDir)).toBe(false);
    expect((await server.store.nodes.all()).map(({ id }) => id)).toEqual(['server-1']);
    expect((await server.store.machines.list({}, { limit: 10 })).items).toEqual([]);
    expect(await server.denials('enrolment.denied')).toHaveLength(denials);
  }

  test.each<[string, Partial<JoinOptions>, string]>([
    ['another role', { role: 'relay' }, 'TOKEN_SCOPE'],
    ['the role server', { role: 'server' }, 'TOKEN_SCOPE'],
    ['another site', { site: 'us' }, 'TOKEN_SCOPE'],
    ['another name', { name: 'web-2' }, 'TOKEN_SCOPE'],
    ['the name server', { name: 'server' }, 'TOKEN_SCOPE'],
    ['a name that is no name', { name: '../x' }, 'INVALID_FIELD'],
  ])('a token used for %s', async (_name, asked, code) => {
    const server = await startControlPlane();
    const dataDir = join(await tempDir(), 'deep', 'er', 'node');
    const { token } = await server.token({ name: 'web-1' });
    expect((await denial(attempt(server, { token, dataDir, ...asked }))).code).toBe(code);
    await expectNothing(server, dataDir, 1);
    // The token is still valid for its own purpose.
    await attempt(server, { token });
  });

  test('a token that is for a node that waits, used by one that dials', async () => {
    const server = await startControlPlane();
    const dataDir = join(await tempDir(), 'node');
    const { token } = await server.token({ name: 'web-1', dialAddress: '127.0.0.1:1' });
    expect((await denial(attempt(server, { token, dataDir }))).code).toBe('TOKEN_SCOPE');
    await expectNothing(server, dataDir, 1);
  });

  test('an expired, an unknown, a wrong and a malformed token', async () => {
    const server = await startControlPlane();
    const dataDir = join(await tempDir(), 'node');
    const { token, id, expiresAt } = await server.token({ ttlS: 1 });
    await waitFor(() => Date.now() > expiresAt);
    const expired = await denial(attempt(server, { token, dataDir }));
    expect(expired.code).toBe('TOKEN_EXPIRED');
    expect(expired.message).toContain(new Date(expiresAt).toISOString());
    const wrong = `ist_${id}_${'A'.repeat(43)}`;
    const unknown = wrong.replace(/^ist_......../, 'ist_01234567');
    const answers = [
      await denial(attempt(server, { token: wrong, dataDir })),
      await denial(attempt(server, { token: unknown, dataDir })),
    ];
    expect(answers.map(({ code, message }) => `${code} ${message}`)).toEqual(
      Array(2).fill('TOKEN_UNKNOWN there is no such join token'),
    );
    const malformed = await denial(attempt(server, { token: 'ist_secret-that-must-not-show', dataDir }));
    expect(malformed.code).toBe('TOKEN_UNKNOWN');
    expect(malformed.message).not.toContain('secret-that');
    await expectNothing(server, dataDir, 3);
  });

  test('50 at once with one token: exactly one gets in', async () => {
    const server = await startControlPlane();
    const { token } = await server.token();
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, () => attempt(server, { token })));
    const codes = outcomes.map((outcome) =>
      outcome.status === 'fulfilled' ? 'in' : IsthmusError.from(outcome.reason).code,
    );
    expect(codes.filter((code) => code === 'in')).toHaveLength(1);
    expect(new Set(codes)).toEqual(new Set(['in', 'TOKEN_USED']));
    expect((await server.store.nodes.all()).filter(({ role }) => role === 'tentacle')).toHaveLength(1);
    expect(await server.denials('enrolment.denied')).toHaveLength(49);
    expect((await denial(attempt(server, { token }))).code).toBe('TOKEN_USED');
  });

  test('a name that was taken', async () => {
    const server = await startControlPlane();
    const first = await server.token({ name: 'web-1' });
    const second = await server.token({ name: 'web-1' });
    await attempt(server, { token: first.token });
    expect((await denial(attempt(server, { token: second.token }))).code).toBe('ALREADY_EXISTS');
    await expect(server.token({ name: 'web-1' })).rejects.toMatchObject({ code: 'ALREADY_EXISTS', field: 'name' });
  });

  test('the name of a package source', async () => {
    const server = await startControlPlane();
    const { token } = await server.token({ name: 's3' });
    const source = { kind: 'upstream', id: 's3', url: 'https://s3.example/{sha256}' } as const;
    await server.store.transaction((tx) => createPackageSource(tx, source, 'admin'));
    expect((await denial(attempt(server, { token }))).code).toBe('ALREADY_EXISTS');
    await expect(server.token({ name: 's3' })).rejects.toMatchObject({ code: 'ALREADY_EXISTS', field: 'name' });
  });

  test('3,000 guesses: limited by address, recorded only so often, and no means to keep others out', async () => {
    const server = await startControlPlane({ limits: { enrol: DEFAULT_LIMITS.enrol } });
    const { id, token } = await server.token({ name: 'web-1' });
    const began = Date.now();
    const codes: string[] = [];
    while (codes.length < 3_000) {
      const found = await guess(server, id, 1_000);
      if (found === undefined) codes.push(...Array.from({ length: 1_000 }, () => 'RESOURCE_EXHAUSTED'));
      else codes.push(...found);
    }
    const rejected = ['TOKEN_UNKNOWN', 'RESOURCE_EXHAUSTED', 'ended'];
    expect([...new Set(codes)].filter((code) => !rejected.includes(code))).toEqual([]);
    const told = codes.filter((code) => code === 'TOKEN_UNKNOWN').length;
    const recorded = await server.denials('enrolment.denied');
    expect(recorded.length).toBeLessThan(60 + 5 * ((Date.now() - began) / 1000 + 1));
    expect(told).toBeLessThanOrEqual(recorded.length);
    expect(await server.store.nodes.find('web-1')).toBeUndefined();
    // The owner of the token gets in from another address, while the guesser's address is over its limit.
    while ((await guess(server, id, 1)) !== undefined);
    const elsewhere = await cable(server.address, '127.0.0.2');
    const { identity } = await attempt(server, { token, addresses: [elsewhere.address] });
    expect(identity.node).toBe('web-1');
  });

  test('below two parents with the address of one: the error names the other', async () => {
    const server = await startControlPlane();
    const eu = await startRelay(server, 'eu');
    const { token } = await server.token({ parents: [{ node: 'server' }, { node: 'eu' }], name: 'web-1' });
    expect(await denial(attempt(server, { token }))).toMatchObject({
      code: 'INVALID_FIELD',
      field: 'address',
      remedy: 'Give the address of eu, as host:port.',
      action: { code: 'GIVE_ADDRESS', arguments: { node: 'eu' } },
    });
    await attempt(server, { token, addresses: [server.address, eu.address] });
  });

  test('at the address of another node than its parent: nothing on disk, and the token is good at once', async () => {
    const server = await startControlPlane();
    const eu = await startRelay(server, 'eu');
    const dataDir = join(await tempDir(), 'node');
    const { token, id } = await server.token({ parent: 'eu', name: 'web-1' });
    const error = await denial(attempt(server, { token, dataDir }));
    expect(error).toMatchObject({ code: 'PEER_UNEXPECTED', hop: 'server-1' });
    expect(existsSync(dataDir)).toBe(false);
    expect(await server.store.nodes.find('web-1')).toBeUndefined();
    expect((await server.store.tokens.get(id)).boundSpkiSha256).toBeNull();
    expect(await server.events('token.unbound')).toHaveLength(1);
    await attempt(server, { token, dataDir, addresses: [eu.address] });
  });

  test('a folder that has an identity is not touched', async () => {
    const server = await startControlPlane();
    const { dataDir, identity } = await attempt(server, { token: (await server.token()).token });
    const { token } = await server.token();
    expect((await denial(attempt(server, { token, dataDir }))).code).toBe('IDENTITY_EXISTS');
    expect((await IdentityStore.open(dataDir)).current()).toEqual(identity);
  });
});

test('a folder that a running agent uses is not joined: it would go on under the identity in its memory', async () => {
  const server = await startControlPlane();
  const { token, id } = await server.token();
  const dataDir = await tempDir();
  const lock = lockDataDir(dataDir);
  expect((await denial(attempt(server, { token, dataDir }))).code).toBe('DATA_DIR_LOCKED');
  expect((await server.store.tokens.get(id)).boundSpkiSha256).toBeNull();
  lock.unlock();
  await attempt(server, { token, dataDir });
});

describe('tokens', () => {
  test('are not for a child that would dial a relay without a port', async () => {
    const server = await startControlPlane();
    const parents = [{ node: 'server', dialAddress: null }];
    const report = { links: [], parents: [{ node: 'server-1', address: server.address }], listens: false };
    await server.store.transaction(async (tx) => {
      await tx.nodes.insert({ id: 'eu', role: 'relay', site: 'eu', parents, createdAt: 1 });
      await tx.nodes.recordLastSeen('eu', { report, lastSeenAt: Date.now() });
    });
    const error = await denial(server.token({ parent: 'eu' }));
    expect(error).toMatchObject({ code: 'PARENT_DIRECTION', field: 'parents[0].node' });
    expect(error.remedy).toContain("listen: '[::]:8444'");
    await server.token({ parent: 'eu', dialAddress: '192.0.2.1:8444' });
  });

  test.each([
    [{ site: 'nowhere' }, 'site'],
    [{ parent: 'nobody' }, 'parents[0].node'],
    [{ ttlS: 3601 }, 'ttlS'],
    [{ ttlS: 0 }, 'ttlS'],
    [{ name: 'server' }, 'name'],
    [{ name: 'A b' }, 'name'],
    [{ dialAddress: 'nowhere' }, 'parents[0].dialAddress'],
    [{ parents: [] }, 'parents'],
    [{ parents: [{ node: 'server' }, { node: 'server' }] }, 'parents[1].node'],
    [{ role: 'relay' as const, targetRoles: ['x'] }, 'targetRoles'],
    [{ environments: ['none'] }, 'environments[0]'],
  ])('with %j are rejected, naming the field', async (input, field) => {
    const server = await startControlPlane();
    await expect(server.token(input)).rejects.toMatchObject({ code: 'INVALID_FIELD', field });
    expect(await server.events('token.created')).toHaveLength(0);
  });

  test('are nowhere in clear: not in the database, the events or the printed command', async () => {
    const server = await startControlPlane();
    const { token, joinCommand } = await server.token();
    const secret = token.split('_').slice(2).join('_');
    expect(joinCommand).not.toContain(secret);
    expect(joinCommand).toContain(server.pin);
    const folder = join(server.authority.dataDir, 'server');
    for (const file of readdirSync(folder)) {
      const bytes = readFileSync(join(folder, file));
      expect(bytes.includes(secret) || bytes.includes(Buffer.from(secret, 'base64url')), file).toBe(false);
    }
  });
});

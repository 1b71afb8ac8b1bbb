// A join token in the hands of a second key, and the reuse of a name after its node was revoked.
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { joinMesh } from '../../certs/enrolment/join.ts';
import { sessionByDialling } from '../../certs/enrolment/session.ts';
import { identityFolder, IdentityStore, writeIdentity, type NodeIdentity } from '../../certs/identity.ts';
import { renewOnce, renewOverMesh } from '../../certs/renewal.ts';
import { RevocationList, revocationStatement } from '../../certs/revocations.ts';
import { MESH_SERVICES } from '../../contract/services.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { grpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { joinNode } from '../../node/join/join.ts';
import { openEnrol } from '../../mesh/enrolment/outbound.ts';
import type { Connection } from '../../mesh/link/connection.ts';
import { createMesh } from '../../mesh/mesh.ts';
import { WIRE_VERSIONS } from '../../mesh/wire-version.ts';
import type { ConfirmResponse__Output } from '../../proto/gen/isthmus/identity/v1/ConfirmResponse.ts';
import type { IdentityClient } from '../../proto/gen/isthmus/identity/v1/Identity.ts';
import { Enrolment } from '../../server/enrolment/enrolment.ts';
import { startControlPlane, type ControlPlane } from '../support/control-plane.ts';
import { cable } from '../support/fake-link.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';

const identityTypes = loadDefinitions('isthmus/identity/v1/identity.proto').isthmus.identity.v1;

interface Enrolled {
  readonly identity: NodeIdentity;
  /** Fails the join before its confirmation, as a failed round trip does. */
  fail(): Promise<void>;
  /** Drops the connection, as when the process is killed. */
  kill(): Promise<void>;
}

/** Enrols and stops just before the confirmation. */
async function enrolOnly(server: ControlPlane, token: string): Promise<Enrolled> {
  const enrolled = Promise.withResolvers<NodeIdentity>();
  const lost = Promise.withResolvers<never>();
  lost.promise.catch(() => undefined);
  let connection: Connection | undefined;
  const request = { dataDir: join(await tempDir(), 'node'), token, pin: server.pin };
  const joining = joinMesh(request, {
    wireVersions: WIRE_VERSIONS,
    softwareVersion: 'test',
    async openSessions() {
      const signal = AbortSignal.timeout(10_000);
      const route = { destination: 'server', source: 'joining', deadlineMs: 10_000, signal };
      connection = await openEnrol(server.address, route);
      return [await sessionByDialling(connection.tls, server.pin)];
    },
    confirm({ identity }) {
      enrolled.resolve(identity);
      return lost.promise;
    },
    configFor: () => '',
    report: () => undefined,
  });
  joining.catch(enrolled.reject);
  const fail = async (): Promise<void> => {
    lost.reject(new IsthmusError('UNREACHABLE', 'it went away'));
    await joining.then(
      () => expect.unreachable('it joined'),
      (thrown: unknown) => {
        if (!(thrown instanceof IsthmusError) || thrown.message !== 'it went away') throw thrown;
      },
    );
  };
  onTestFinished(() => fail().catch(() => undefined));
  return {
    identity: await enrolled.promise,
    fail,
    async kill() {
      connection?.raw.destroy();
      await fail();
    },
  };
}

/** Waits until a new certificate is younger than the revocation: the times in certificates are whole seconds. */
async function aSecondAfterRevoking(server: ControlPlane, node: string): Promise<number> {
  const { revokedAt } = await server.store.nodes.get(node);
  await waitFor(() => Date.now() > (revokedAt ?? 0) + 1_000);
  return revokedAt ?? 0;
}

/** A running mesh with the identity of an enrolled node, and the calls it can make. */
async function use(server: ControlPlane, identity: NodeIdentity) {
  const dataDir = await tempDir();
  mkdirSync(dataDir, { recursive: true });
  writeIdentity(identityFolder(dataDir), identity);
  const store = await IdentityStore.open(dataDir);
  const mesh = await createMesh(
    { parents: [{ node: 'server-1', address: server.address }], dials: [] },
    {
      identity: store,
      revocations: await RevocationList.open(dataDir, identity.authorityPem, identity.meshId),
      log: silentLogger(),
      relaying: false,
      services: MESH_SERVICES,
      limits: { backoffBaseMs: 20 },
    },
  );
  onTestFinished(() => mesh.stop());
  const dial = (signal: AbortSignal) =>
    mesh.dial({ node: 'server', service: 'identity', class: 'control', deadlineMs: 5_000, signal });
  return {
    store,
    mesh,
    linked: () => waitFor(() => mesh.links()[0]?.up, { what: 'the link' }),
    renew: () => renewOnce(store, renewOverMesh(dial)),
    async confirm(): Promise<string> {
      const client = grpcClient<IdentityClient>(identityTypes.Identity, dial);
      try {
        const answer = await client.unary<ConfirmResponse__Output>((c, o, done) => c.confirm({}, o, done), {
          deadlineMs: 5_000,
        });
        return answer.certificatePem;
      } finally {
        client.close();
      }
    },
  };
}

async function unbound(server: ControlPlane, id: string): Promise<void> {
  await waitFor(async () => (await server.store.tokens.get(id)).boundSpkiSha256 === null, {
    what: 'the unbound token',
  });
}

test('a key that enrolled and did not confirm gets nothing from the token once another has joined with it', async () => {
  const server = await startControlPlane();
  const { token, id } = await server.token({ name: 'web-1' });
  const first = await enrolOnly(server, token);
  await first.kill();
  await unbound(server, id);
  const identity = await joinNode({
    dataDir: join(await tempDir(), 'node'),
    token,
    pin: server.pin,
    addresses: [server.address],
  });

  const shadow = await use(server, first.identity);
  await shadow.linked();
  await expect(shadow.confirm()).rejects.toMatchObject({ code: 'TOKEN_USED' });
  await expect(shadow.renew()).rejects.toMatchObject({ code: 'FORBIDDEN' });
  expect(shadow.store.peer().notAfterMs - Date.now()).toBeLessThanOrEqual(10 * 60_000);
  const [recorded, ...others] = await server.store.nodes.certificates('web-1');
  expect(others).toEqual([]);

  // The node that joined has the certificate that the server recorded; it can renew it, and it is valid for days.
  await shadow.mesh.stop();
  const real = await use(server, identity);
  expect(real.store.peer().serialNumber).toBe(recorded?.serial);
  expect(real.store.peer().notAfterMs - Date.now()).toBeGreaterThan(6 * 86_400_000);
  await real.linked();
  await real.renew();
});

test('what enrolment gives out is not renewed, also by the key that has confirmed', async () => {
  const server = await startControlPlane();
  const { token } = await server.token({ name: 'web-1' });
  const node = await use(server, (await enrolOnly(server, token)).identity);
  await node.linked();
  await expect(node.renew()).rejects.toMatchObject({ code: 'PEER_CERTIFICATE_REVOKED' });
  const lasting = await node.confirm();
  expect(await node.confirm()).toBe(lasting);
  expect(await server.store.nodes.certificates('web-1')).toHaveLength(1);
  expect(await server.events('node.joined')).toHaveLength(2);
  await expect(node.renew()).rejects.toMatchObject({ code: 'FORBIDDEN' });
});

test('a join that fails before its confirmation gives the token back before it ends', async () => {
  const server = await startControlPlane();
  const { token, id } = await server.token({ name: 'web-1' });
  const first = await enrolOnly(server, token);
  const again = { token, pin: server.pin, addresses: [server.address] };
  await expect(joinNode({ dataDir: join(await tempDir(), 'node'), ...again })).rejects.toMatchObject({
    code: 'TOKEN_USED',
  });
  await first.fail();
  expect(await server.store.tokens.get(id)).toMatchObject({ boundSpkiSha256: null, boundNode: null, usedAt: null });
  expect(await server.events('token.unbound')).toHaveLength(1);
  await joinNode({ dataDir: join(await tempDir(), 'node'), ...again });
});

test('a token given back after the confirmation stays used, and the node hears that it is in', async () => {
  const server = await startControlPlane();
  const { token, id } = await server.token({ name: 'web-1' });
  const first = await enrolOnly(server, token);
  const node = await use(server, first.identity);
  await node.linked();
  await node.confirm();
  await expect(first.fail()).rejects.toThrow('the server has let web-1 in');
  expect((await server.store.tokens.get(id)).usedAt).not.toBeNull();
  expect(await server.events('token.unbound')).toHaveLength(0);
  expect(await server.store.nodes.get('web-1')).toMatchObject({ state: 'active' });
});

test('a token that was bound when the server stopped is free again after it started', async () => {
  const server = await startControlPlane();
  const { token, id } = await server.token({ name: 'web-1' });
  // The state that an earlier server left.
  expect(await server.store.tokens.bind(id, 'aa'.repeat(32), 'web-1')).toBe(true);
  const deps = {
    authority: server.authority.authority,
    identity: server.node.identity,
    sealer: server.authority.sealer,
    denials: server.mesh.denials,
  };
  const next = new Enrolment({ store: server.store, log: silentLogger(), ...deps });
  onTestFinished(() => next.stop());
  await next.start();
  expect((await server.store.tokens.get(id)).boundSpkiSha256).toBeNull();
  await joinNode({ dataDir: join(await tempDir(), 'node'), token, pin: server.pin, addresses: [server.address] });
});

test('a revocation that only the neighbours still know of, after a restore, outlives the next one', async () => {
  const server = await startControlPlane();
  const { token } = await server.token({ name: 'web-2' });
  await joinNode({ dataDir: join(await tempDir(), 'node'), token, pin: server.pin, addresses: [server.address] });
  const { authority } = server.authority;
  const gone = { node: 'stolen', revokedAtMs: Date.now() };
  const statement = revocationStatement(authority.meshId, Date.now(), [gone]);
  // As a neighbour floods it to a server restored from an older backup.
  server.node.revocations.merge({ statement, signature: authority.sign('revocations', statement) });
  await server.revoke('web-2');
  await waitFor(() => server.node.revocations.entries().some(({ node }) => node === 'web-2'), { what: 'web-2 on it' });
  expect(server.node.revocations.entries()).toContainEqual(gone);
});

test('a node that joins again keeps the settings of its operator, with the path to its parent set anew', async () => {
  const server = await startControlPlane();
  const dataDir = join(await tempDir(), 'node');
  const config = join(dataDir, 'config.yaml');
  const joinHere = async () => {
    const { token } = await server.token({ name: 'web-1' });
    return joinNode({ dataDir, token, pin: server.pin, addresses: [server.address] });
  };
  await joinHere();
  expect(statSync(config).mode & 0o777).toBe(0o600);
  await server.revoke('web-1');
  await aSecondAfterRevoking(server, 'web-1');
  rmSync(identityFolder(dataDir), { recursive: true });
  const parents = `parents:\n  - node: server-1\n    address: ${server.address}\n`;
  writeFileSync(config, 'listen: 127.0.0.1:1\n# never as the agent\nscriptUser: deploy\nparents:\n  - node: old\n');
  chmodSync(config, 0o640);
  await joinHere();
  expect(statSync(config).mode & 0o777).toBe(0o640);
  expect(readFileSync(config, 'utf8')).toBe(`# never as the agent\nscriptUser: deploy\n${parents}`);

  // Settings that cannot be kept are found before the enrolment: the token is still valid.
  await server.revoke('web-1');
  rmSync(identityFolder(dataDir), { recursive: true });
  writeFileSync(config, 'scriptUser: [\n');
  await expect(joinHere()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  expect(readFileSync(config, 'utf8')).toBe('scriptUser: [\n');
  expect(await server.store.nodes.get('web-1')).toMatchObject({ state: 'revoked' });
});

test('a revoked node joins again under its name: same machine, old certificates stay revoked', async () => {
  const server = await startControlPlane();
  const join1 = async (token: string) =>
    joinNode({ dataDir: join(await tempDir(), 'node'), token, pin: server.pin, addresses: [server.address] });
  const before = await join1((await server.token({ name: 'web-1', targetRoles: ['web'] })).token);
  await expect(server.token({ name: 'web-1' })).rejects.toMatchObject({ code: 'ALREADY_EXISTS', field: 'name' });
  await server.revoke('web-1');
  await expect(server.token({ name: 'web-1', role: 'relay' })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  // A token that names no node does not assign the name.
  await expect(
    joinNode({
      dataDir: join(await tempDir(), 'node'),
      ...{ token: (await server.token()).token, pin: server.pin, addresses: [server.address], name: 'web-1' },
    }),
  ).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  const revokedAt = await aSecondAfterRevoking(server, 'web-1');
  const again = await join1((await server.token({ name: 'web-1', targetRoles: ['other'] })).token);
  expect(await server.store.nodes.get('web-1')).toMatchObject({ state: 'active', revokedAt });
  expect(await server.store.machines.get('web-1')).toMatchObject({ targetRoles: ['web'] });
  await expect(server.token({ name: 'web-1' })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });

  // Another revocation publishes a new list; the old certificate is still on it.
  await join1((await server.token({ name: 'web-2' })).token);
  await server.revoke('web-2');
  await waitFor(() => server.node.revocations.entries().length === 2, { what: 'both on the list' });
  const old = await use(server, before);
  await waitFor(() => old.mesh.links()[0]?.lastErrorCode !== undefined, { what: 'the denial' });
  expect(old.mesh.links()[0]?.up).toBe(false);
  await old.mesh.stop();
  const now = await use(server, again);
  await now.linked();
  await now.renew();
});

test.each([
  ['before the server has heard of it', 'pin'],
  ['before its confirmation', 'enrol'],
])('a join whose first connection is lost %s says so, and goes with the same token', async (_, after) => {
  const server = await startControlPlane();
  const { token, id } = await server.token({ name: 'web-1' });
  const line = await cable(server.address);
  const order = { dataDir: join(await tempDir(), 'node'), token, pin: server.pin };
  let noticed = Promise.resolve();
  const joining = joinNode({
    ...order,
    addresses: [line.address],
    report({ check }) {
      if (check !== after) return;
      line.cut();
      line.heal();
      // No more data gets through until the server has noticed.
      line.cut();
      noticed = unbound(server, id).then(() => line.heal());
    },
  });
  await expect(joining).rejects.toMatchObject({
    code: 'UNREACHABLE',
    remedy: 'Run the same command again: the token is as good as before.',
  });
  await noticed;
  await joinNode({ ...order, addresses: [server.address] });
});

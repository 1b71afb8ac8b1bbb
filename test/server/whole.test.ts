// The whole server, with real nodes in the same process: join, scripts, health, packages and deployments over two
// relays, dialled in both directions; restarts, backups, and failed starts.
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { isDeepStrictEqual } from 'node:util';
import { create } from 'tar';
import { connect, type PeerCertificate } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readStatus } from '../../host/status.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { SOFTWARE_VERSION } from '../../lib/version.ts';
import { start as startMirror } from '../../mirror/start.ts';
import { start as startRelay } from '../../relay/start.ts';
import { backup, restore } from '../../server/operations/backup.ts';
import { start } from '../../server/start.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { WholeMesh } from './whole.ts';

/** A mesh with site eu and environment prod. */
async function meshWithSites(): Promise<WholeMesh> {
  const mesh = await WholeMesh.up();
  await mesh.api.ask('POST', '/sites', { id: 'eu' });
  await mesh.api.ask('POST', '/environments', { id: 'prod' });
  return mesh;
}

describe('a whole mesh', () => {
  it('runs scripts, checks health and traces over two relays, dialled in both directions', async () => {
    const mesh = await meshWithSites();
    await mesh.add({ id: 'relay-1', role: 'relay', dialled: true });
    await mesh.add({ id: 'relay-2', role: 'relay', parent: 'relay-1' });
    await mesh.add({ id: 'far-1', role: 'tentacle', parent: 'relay-2' });
    await mesh.add({ id: 'far-2', role: 'tentacle', parent: 'relay-2', dialled: true });
    await mesh.add({ id: 'near-1', role: 'tentacle' });
    const { items } = await mesh.api.ask('GET', '/machines');
    expect(items).toMatchObject([
      { id: 'far-1', routes: [{ kind: 'path', via: ['relay-1', 'relay-2'] }], environments: ['prod'] },
      { id: 'far-2', routes: [{ kind: 'path', via: ['relay-1', 'relay-2'] }] },
      { id: 'near-1', routes: [{ kind: 'direct' }] },
    ]);

    const script = await mesh.api.task('/scripts', { body: 'echo one; echo two >&2; exit 3', machines: ['far-1'] });
    expect(script).toMatchObject({ state: 'failed', machines: [{ machine: 'far-1', state: 'failed' }] });
    expect(script.machines[0]?.steps[0]).toMatchObject({ action: 'script', exitCode: 3 });
    expect((await mesh.api.log(script.id)).toSorted()).toEqual(['one', 'two']);
    const everywhere = await mesh.api.task('/scripts', { body: 'echo "$HOME"', environments: ['prod'] });
    expect(everywhere).toMatchObject({ state: 'succeeded' });
    expect(everywhere.machines).toHaveLength(3);

    // Each was checked by itself, soon after its join.
    await waitFor(async () => {
      const checked = (await mesh.api.ask('GET', '/machines')).items as { health: string }[];
      return checked.every(({ health }) => health !== 'unknown' && health !== 'unreachable');
    });
    expect(await mesh.api.ask('GET', '/health-checks')).toMatchObject({ intervalS: 300 });
    const health = await mesh.api.task('/health-checks', {});
    expect(health).toMatchObject({ state: 'succeeded' });
    const checked = await mesh.api.ask('GET', '/machines/far-2');
    // The load and free space of the machine that runs the tests do not matter here.
    expect(['healthy', 'warning']).toContain(checked.health);
    expect(checked.healthReport).toMatchObject({ route: { via: ['relay-1', 'relay-2'] } });

    const trace = await mesh.api.ask('POST', '/mesh/trace', { node: 'far-1' });
    expect(trace).toMatchObject({
      paths: [{ path: ['relay-1', 'relay-2'], hops: [{ node: 'relay-1' }, { node: 'relay-2' }, { node: 'far-1' }] }],
    });
    const [path] = trace.paths as { hops: { certificateDays: number; error?: object }[] }[];
    for (const hop of path!.hops) {
      expect(hop.error).toBeUndefined();
      expect(hop.certificateDays).toBeCloseTo(7, 0);
    }
    const ping = await mesh.api.ask('POST', '/mesh/ping', { machine: 'far-2', count: 3 });
    expect((ping.paths as { roundTripsMs: number[] }[])[0]?.roundTripsMs).toHaveLength(3);
  });

  it('deploys a package through a mirror, and goes on after a restart of the server', async () => {
    const mesh = await meshWithSites();
    const { api } = mesh;
    await mesh.add({ id: 'relay-1', role: 'relay' });
    await mesh.add({ id: 'mirror-1', role: 'mirror', parent: 'relay-1' });
    await mesh.add({ id: 'web-1', role: 'tentacle', parent: 'relay-1' });
    const pushed = await api.ask(
      'POST',
      '/packages?id=site&version=1.0.0&format=tar.gz',
      await packageOf('hello #{Greeting}\n#{Missing}'),
    );
    expect(pushed).toMatchObject({ id: 'site', version: '1.0.0' });
    const again = await api.send('POST', '/packages?id=site&version=1.0.0&format=tar.gz', await packageOf('other'));
    expect(again).toMatchObject({ status: 409, body: { code: 'PACKAGE_EXISTS' } });

    const project = await api.ask('POST', '/projects', { id: 'shop' });
    const steps = [
      {
        name: 'web',
        kind: 'package',
        targetRoles: ['web'],
        package: { id: 'site' },
        substituteIn: ['*.txt', { files: '*.ini', encoding: 'iso-8859-1' }],
        postDeploy: { interpreter: 'bash', body: 'cat hello.txt' },
      },
      {
        name: 'after',
        kind: 'script',
        targetRoles: ['web'],
        script: { interpreter: 'bash', body: 'echo "$SECRET"; printf %s "$SECRET" | sha256sum' },
      },
    ];
    await api.ask('PUT', '/projects/shop/process', { steps }, { 'if-match': `"${String(project.version)}"` });
    await api.ask('POST', '/projects/shop/variables', { name: 'Greeting', value: 'world' });
    // A password is text, also one that looks like a template.
    const secret = 'canary-7f3a9c1e##{Greeting}#{Greeting}#{if}';
    await api.ask('POST', '/projects/shop/variables', { name: 'Secret', value: secret, sensitive: true });
    const listed = JSON.stringify(await api.ask('GET', '/projects/shop/variables'));
    expect(listed).not.toContain(secret);
    const release = await api.ask('POST', '/projects/shop/releases', { version: '1.0.0' });
    expect(release.packages).toMatchObject([{ step: 'web', sha256: pushed.sha256 }]);
    expect(JSON.stringify(release)).not.toMatch(/sealed/i);

    const deployment = { project: 'shop', release: '1.0.0', environment: 'prod' };
    const task = await api.task('/deployments', deployment);
    expect(task, JSON.stringify(task)).toMatchObject({ state: 'succeeded' });
    const lines = await api.log(task.id);
    expect(lines).toContain('hello world');
    expect(lines.join('\n')).not.toContain('canary');
    expect(lines).toContain(`${createHash('sha256').update(secret).digest('hex')}  -`);
    const { items } = await api.ask('GET', `/tasks/${task.id}/log?limit=500`);
    const warnings = (items as { level?: string; text: string }[]).filter(({ level }) => level === 'warning');
    expect(warnings).toMatchObject([
      {
        text: 'web-1: hello.txt:2: #{Missing} has no value and stays as it is',
        data: { kind: 'unresolved', file: 'hello.txt', line: 2 },
      },
      { text: 'web-1: no file matches *.ini', data: { kind: 'no-match' } },
    ]);
    const acquired = task.machines[0]?.steps.find((step) => step.action === 'acquire');
    expect(acquired?.detail).toMatchObject({ from: 'mirror-1' });

    await mesh.stopServer();
    await mesh.startServer({ ...mesh.config(), healthCheckIntervalS: 1 });
    await mesh.linked('relay-1', 'web-1');
    expect(await mesh.api.task('/deployments', deployment)).toMatchObject({ state: 'succeeded' });
    // Once the links have been measured, the machine's own reports say enough.
    const report = await waitFor(async () => {
      const { healthReport } = await mesh.api.ask('GET', '/machines/web-1');
      return (healthReport as { by: string } | null)?.by === 'report' && healthReport;
    });
    expect(report).toMatchObject({ route: { via: ['relay-1'] }, facts: { softwareVersion: SOFTWARE_VERSION } });
    const bytes = await fetch(`${mesh.addresses.apiUrl}/api/v1/packages/site/versions/1.0.0/content`, {
      headers: { authorization: `Bearer ${mesh.adminKey}` },
    });
    expect((await bytes.arrayBuffer()).byteLength).toBe(pushed.sizeBytes);
  });

  it('has one process per folder of a relay and of a mirror', async () => {
    const mesh = await meshWithSites();
    const log = silentLogger();
    await mesh.add({ id: 'relay-1', role: 'relay' });
    await mesh.add({ id: 'mirror-1', role: 'mirror', parent: 'relay-1' });
    const locked = { code: 'DATA_DIR_LOCKED' };
    const parents = [{ node: 'server' }];
    await expect(startRelay({ dataDir: join(mesh.folder, 'relay-1'), parents }, { log })).rejects.toMatchObject(locked);
    await expect(startMirror({ dataDir: join(mesh.folder, 'mirror-1'), parents }, { log })).rejects.toMatchObject(
      locked,
    );
  });

  it('shows which version every node runs, its own too', async () => {
    const mesh = await meshWithSites();
    await mesh.add({ id: 'relay-1', role: 'relay' });
    expect(readStatus(mesh.dataDir)).toMatchObject({ state: 'connected', schema: '0002-packages' });
    for (const [path, list] of [
      ['/mesh', 'nodes'],
      ['/nodes', 'items'],
    ] as const) {
      await waitFor(
        async () => {
          const { [list]: nodes } = await mesh.api.ask('GET', path);
          const said = (nodes as { id: string; softwareVersion: string }[]).map((node) => [
            node.id,
            node.softwareVersion,
          ]);
          return isDeepStrictEqual(said, [
            ['relay-1', SOFTWARE_VERSION],
            ['server-1', SOFTWARE_VERSION],
          ]);
        },
        { what: `the versions in ${path}` },
      );
    }
  });

  it('revokes a node at once', async () => {
    const mesh = await meshWithSites();
    await mesh.add({ id: 'web-1', role: 'tentacle' });
    expect(await mesh.api.ask('POST', '/nodes/web-1/revoke')).toMatchObject({ state: 'revoked' });
    expect(await mesh.api.ask('POST', '/nodes/web-1/revoke')).toMatchObject({ state: 'revoked' });
    const { items } = await mesh.api.ask('GET', '/events?type=node.revoked');
    expect(items).toHaveLength(1);
    const answer = await mesh.api.send('POST', '/mesh/ping', { machine: 'web-1' });
    expect(answer.status).toBeGreaterThanOrEqual(400);
  });

  it('is backed up while it runs, restored, and runs tasks with its old nodes', async () => {
    const mesh = await meshWithSites();
    await mesh.add({ id: 'web-1', role: 'tentacle' });
    const before = await mesh.api.task('/scripts', { body: 'echo before', machines: ['web-1'] });
    const passphraseFile = join(mesh.folder, 'passphrase');
    await writeFile(passphraseFile, 'a passphrase for this test');
    const file = join(mesh.folder, 'server.backup');
    await backup({ dataDir: mesh.dataDir, file, passphraseFile });
    const config = mesh.config();
    await mesh.stopServer();
    const dataDir = join(mesh.folder, 'restored');
    await restore({ dataDir, file, passphraseFile });
    await mesh.startServer({ ...config, dataDir });
    await mesh.linked('web-1');
    expect(await mesh.api.log(before.id)).toEqual(['before']);
    const after = await mesh.api.task('/scripts', { body: 'echo after', machines: ['web-1'] });
    expect(after).toMatchObject({ state: 'succeeded' });
  });

  it('shows nodes as revoked that were revoked after the backup it is restored from, once a neighbour has said so', async () => {
    const mesh = await meshWithSites();
    await mesh.add({ id: 'eu', role: 'relay' });
    await mesh.add({ id: 'web-1', role: 'tentacle', parent: 'eu' });
    await mesh.add({ id: 'web-2', role: 'tentacle', parent: 'eu' });
    const [file, passphraseFile] = [join(mesh.folder, 'server.backup'), join(mesh.folder, 'passphrase')];
    await writeFile(passphraseFile, 'a passphrase for this test');
    await backup({ dataDir: mesh.dataDir, file, passphraseFile });
    await mesh.api.ask('POST', '/nodes/web-2/revoke');
    const relayKnows = () => existsSync(join(mesh.folder, 'eu', 'revocations.bin'));
    await waitFor(relayKnows, { what: 'the list at the relay' });
    const config = mesh.config();
    await mesh.stopServer();
    const dataDir = join(mesh.folder, 'restored');
    await restore({ dataDir, file, passphraseFile });
    await mesh.startServer({ ...config, dataDir });
    await mesh.linked('web-1');
    const state = async (id: string) => (await mesh.api.ask('GET', `/nodes/${id}`)).state;
    await waitFor(async () => (await state('web-2')) === 'revoked', { what: 'the node as revoked' });
    expect(await state('web-1')).toBe('active');
    const { items } = await mesh.api.ask('GET', '/events?type=node.revoked');
    expect(items).toMatchObject([{ actor: 'system', subject: 'web-2' }]);
    expect(await mesh.api.task('/scripts', { body: 'true', machines: ['web-1'] })).toMatchObject({
      state: 'succeeded',
    });
    const rejected = await mesh.api.send('POST', '/scripts', { body: 'true', machines: ['web-2'] });
    expect(rejected).toMatchObject({ status: 409, body: { code: 'MACHINE_REVOKED' } });
  });
});

describe('a server', () => {
  const log = silentLogger();

  it('does not start on a folder that another server uses, and that server goes on', async () => {
    const mesh = await WholeMesh.up();
    const second = { ...mesh.config(), mesh: { listen: '127.0.0.1:0' } };
    await expect(start(second, { log })).rejects.toMatchObject({
      code: 'DATA_DIR_LOCKED',
      message: expect.stringContaining(String(process.pid)) as string,
    });
    expect((await mesh.api.send('GET', '/whoami')).status).toBe(200);
  });

  it('does not start on ports that are in use or not its own, names the port, and leaves nothing running', async () => {
    const mesh = await WholeMesh.up();
    await mesh.stopServer();
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as { port: number };
    const listen = `127.0.0.1:${port}`;
    const config = { ...mesh.config(), mesh: { listen: '127.0.0.1:0' } };
    for (const wrong of [
      { ...config, api: { listen } },
      { ...config, mesh: { listen } },
    ]) {
      await expect(start(wrong, { log })).rejects.toMatchObject({
        code: 'PORT_IN_USE',
        message: expect.stringContaining(String(port)) as string,
      });
    }
    const elsewhere = '192.0.2.1:8444';
    for (const wrong of [
      { ...config, api: { listen: elsewhere } },
      { ...config, mesh: { listen: elsewhere } },
    ]) {
      await expect(start(wrong, { log })).rejects.toMatchObject({
        code: 'ADDRESS_NOT_LOCAL',
        message: expect.stringContaining(elsewhere) as string,
      });
    }
    await mesh.startServer();
    expect((await mesh.api.send('GET', '/whoami')).status).toBe(200);
  });

  it.each([
    ['missing', 'MASTER_KEY_MISSING', (path: string) => rm(path)],
    ['another one', 'MASTER_KEY_WRONG', (path: string) => writeFile(path, Buffer.alloc(32, 7).toString('base64'))],
    ['cut short', 'MASTER_KEY_WRONG', (path: string) => writeFile(path, 'c2hvcnQ=')],
  ])('does not start when the master key is %s, and makes no new one', async (_, code, spoil) => {
    const mesh = await WholeMesh.up();
    await mesh.stopServer();
    const path = join(mesh.dataDir, 'master.key');
    const key = await readFile(path, 'utf8');
    await spoil(path);
    const spoiled = await readFile(path, 'utf8').catch(() => 'missing');
    await expect(start(mesh.config(), { log })).rejects.toMatchObject({ code });
    expect(await readFile(path, 'utf8').catch(() => 'missing')).toBe(spoiled);
    await writeFile(path, key, { mode: 0o600 });
    await mesh.startServer();
    expect((await mesh.api.send('GET', '/whoami')).status).toBe(200);
  });

  it('does not start on a folder without a server', async () => {
    const dataDir = await tempDir();
    const config = { dataDir, mesh: { listen: '127.0.0.1:0' }, api: { listen: '127.0.0.1:0' } };
    await expect(start(config, { log })).rejects.toMatchObject({ code: 'MASTER_KEY_MISSING' });
  });

  it('serves its API with its mesh certificate beyond loopback', async () => {
    const mesh = await WholeMesh.up();
    await mesh.stopServer();
    await mesh.startServer({ ...mesh.config(), api: { listen: '0.0.0.0:0' } });
    expect(mesh.addresses.apiUrl).toMatch(/^https:/);
    const port = Number(mesh.addresses.api.split(':').at(-1));
    const identity = JSON.parse(await readFile(join(mesh.dataDir, 'identity', 'node.json'), 'utf8')) as {
      authorityPem: string;
    };
    const socket = connect({
      ...{ host: '127.0.0.1', port, ca: identity.authorityPem },
      checkServerIdentity: () => undefined,
    });
    await once(socket, 'secureConnect');
    expect(socket.authorized).toBe(true);
    expect(socket.getPeerCertificate(true).subjectaltname).toContain('/server/server-1');
    expect(
      (socket.getPeerCertificate(true) as PeerCertificate & { issuerCertificate?: object }).issuerCertificate,
    ).toBeDefined();
    socket.end('GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    expect(await text(socket)).toMatch(/^HTTP\/1.1 200 /);
  });
});

/** A tar.gz with hello.txt. */
async function packageOf(content: string): Promise<Uint8Array> {
  const folder = await tempDir();
  await writeFile(join(folder, 'hello.txt'), content);
  const chunks: Buffer[] = [];
  for await (const chunk of Readable.from(create({ cwd: folder, gzip: true, portable: true }, ['hello.txt']))) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

// Orders for packages that were recorded and are sent again while they are valid: they change nothing, and a server
// whose answer was lost gets it again.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createSigner, type Signer } from '../../certs/signer.ts';
import { grpcClient, type GrpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions, messageCodec } from '../../lib/grpc/load.ts';
import { newId } from '../../lib/ids.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { AcquireProgress__Output } from '../../proto/gen/isthmus/tentacle/v1/AcquireProgress.ts';
import type { Envelope } from '../../proto/gen/isthmus/tentacle/v1/Envelope.ts';
import type { PackagePayload } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import type { PackageStatus__Output } from '../../proto/gen/isthmus/tentacle/v1/PackageStatus.ts';
import type { TentacleClient } from '../../proto/gen/isthmus/tentacle/v1/Tentacle.ts';
import { start } from '../../tentacle/start.ts';
import { tarGz } from '../packages/craft.ts';
import { startOrigin, type Origin } from '../packages/origin.ts';
import { createTestMesh, type TestMesh } from '../support/identities.ts';
import { startNode } from '../support/mesh.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';

const types = loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1;
const payloads = messageCodec(types.PackagePayload);
const installation = { project: 'shop', environment: 'prod', step: 'web' };

type Action = 'acquire' | 'stage' | 'activate' | 'settle';
/** The envelopes of one deployment, as whoever reads along at an endpoint has them. */
type Recorded = Readonly<Record<Action, Envelope>>;

interface Field {
  readonly authority: TestMesh;
  readonly signer: Signer;
  readonly folder: string;
  /** Where its settings allow to install. */
  readonly installRoot: string;
  readonly client: GrpcClient<TentacleClient>;
  restart(): Promise<void>;
  /** Everything that a replay could change. */
  state(): Promise<unknown>;
}

async function field(): Promise<Field> {
  const authority = await createTestMesh();
  const server = await startNode(authority, 'server-1', 'server');
  const { dataDir } = await authority.node('machine-1', 'tentacle');
  const installRoot = await tempDir();
  const config = {
    ...{ dataDir, installRoots: [installRoot], feedLoopback: true },
    parents: [{ node: 'server-1', address: server.mesh.address! }],
  };
  let tentacle = await start(config, { log: silentLogger() });
  onTestFinished(() => tentacle.stop());
  const linked = (): boolean => server.mesh.links().some(({ peer, up }) => peer === 'machine-1' && up);
  await waitFor(linked, { what: 'the link' });
  const dial = { node: 'machine-1', service: 'tentacle', path: [], class: 'control' as const, deadlineMs: 5_000 };
  const client = grpcClient<TentacleClient>(types.Tentacle, (signal) => server.mesh.dial({ ...dial, signal }), {
    hop: 'machine-1',
  });
  onTestFinished(() => client.close());
  const folder = join(dataDir, 'applications', 'shop', 'prod', 'web');
  return {
    authority,
    signer: createSigner(authority.authority, 'server-1'),
    folder,
    installRoot,
    client,
    async restart() {
      await tentacle.stop();
      await waitFor(() => !linked());
      tentacle = await start(config, { log: silentLogger() });
      await waitFor(linked, { what: 'the link' });
    },
    async state() {
      const releases = await readdir(join(folder, 'releases'), { recursive: true });
      const changed = releases.sort().map(async (name) => (await stat(join(folder, 'releases', name))).ctimeMs);
      const links = ['current', 'previous'].map((link) => readlink(join(folder, link)).catch(() => undefined));
      const cached = await readdir(join(dataDir, 'packages'), { recursive: true });
      return { releases, changed: await Promise.all(changed), links: await Promise.all(links), cached: cached.sort() };
    },
  };
}

function record(
  { signer }: Field,
  origin: Origin,
  bytes: Buffer,
  version: string,
  { task = newId(), installTo = '' } = {},
): Recorded {
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const payload: PackagePayload = {
    package: { id: 'web', version, sha256, sizeBytes: bytes.length, format: 'tar.gz' },
    installation,
    sources: [{ node: origin.node, url: origin.url }],
    downloadToken: 'p',
    installTo,
  };
  const envelope = (kind: Action): Envelope =>
    signer.signEnvelope({
      ...{ tentacle: 'machine-1', ticket: newId(), task, epoch: 1, kind },
      ...{ expiresAtMs: Date.now() + 600_000, payload: payloads.encode(payload) },
    });
  return {
    acquire: envelope('acquire'),
    stage: envelope('stage'),
    activate: envelope('activate'),
    settle: envelope('settle'),
  };
}

async function send({ client }: Field, recorded: Recorded, action: Action): Promise<unknown> {
  const envelope = recorded[action];
  if (action !== 'acquire') {
    return client.unary<PackageStatus__Output>((c, o, done) => c[`${action}Package`]({ envelope }, o, done), {
      deadlineMs: 20_000,
    });
  }
  const call = (await client.ready()).acquirePackage({ envelope });
  let last: AcquireProgress__Output | undefined;
  call.on('data', (progress: AcquireProgress__Output) => (last = progress));
  await once(call, 'end').catch((thrown: unknown) => {
    throw client.errorOf(thrown);
  });
  return last;
}

const actions: readonly Action[] = ['acquire', 'stage', 'activate', 'settle'];

async function deploy(at: Field, recorded: Recorded): Promise<void> {
  for (const action of actions) await send(at, recorded, action);
}

const app = (version: string) => tarGz([{ name: 'app.js', content: version }]);

it('changes nothing after a later release, before and after a restart', async () => {
  const at = await field();
  const releases: Recorded[] = [];
  const origins: Origin[] = [];
  for (const major of [1, 2, 3, 4]) {
    const version = `${major}.0.0`;
    const origin = await startOrigin(at.authority, `near-${major}`, app(version));
    const recorded = record(at, origin, app(version), version);
    await deploy(at, recorded);
    releases.push(recorded);
    origins.push(origin);
  }
  const before = await at.state();
  for (const round of ['before', 'after'] as const) {
    if (round === 'after') await at.restart();
    for (const recorded of releases.slice(0, 3)) {
      for (const action of actions) {
        // What is on disk still is told again; what is gone stays gone.
        await send(at, recorded, action).catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'TICKET_ALREADY_USED' });
        });
      }
    }
    expect(await at.state()).toEqual(before);
  }
  expect(origins.map(({ requests }) => requests.length)).toEqual([1, 1, 1, 1]);
});

it('answers a lost answer again, also a failure, and never more', async () => {
  const at = await field();
  const origin = await startOrigin(at.authority, 'near', app('1'));
  const task = newId();
  const recorded = record(at, origin, app('1'), '1.0.0', { task });
  const notStaged = { code: 'PACKAGE_NOT_STAGED' };
  const tooEarly = record(at, origin, app('1'), '1.0.0', { task });
  await expect(send(at, tooEarly, 'activate')).rejects.toMatchObject(notStaged);
  expect(await send(at, recorded, 'acquire')).toMatchObject({ done: true, cached: false });
  expect(await send(at, recorded, 'acquire')).toMatchObject({ done: true, cached: true });
  const staged = await send(at, recorded, 'stage');
  expect(await send(at, recorded, 'stage')).toEqual(staged);
  // It would succeed now, but its ticket has failed.
  await expect(send(at, tooEarly, 'activate')).rejects.toMatchObject(notStaged);
  const activated = await send(at, recorded, 'activate');
  expect(await send(at, recorded, 'activate')).toEqual(activated);
  await at.restart();
  expect(await send(at, recorded, 'activate')).toEqual(activated);
  await expect(send(at, tooEarly, 'activate')).rejects.toMatchObject(notStaged);
});

/** An order to stage that is being carried out: it has many files, of which the first are there. */
async function staging(at: Field) {
  const files = Array.from({ length: 1000 }, (_, i) => ({ name: `d${i % 20}/f${i}`, content: 'x' }));
  const bytes = tarGz(files);
  const recorded = record(at, await startOrigin(at.authority, 'near', bytes), bytes, '1.0.0');
  await send(at, recorded, 'acquire');
  const withdraw = new AbortController();
  const answer = at.client.unary<PackageStatus__Output>(
    (c, o, done) => c.stagePackage({ envelope: recorded.stage }, o, done),
    { deadlineMs: 60_000, signal: withdraw.signal },
  );
  const left = () => readdir(join(at.folder, '.private'), { recursive: true }).catch(() => []);
  await waitFor(async () => (await left()).length > 10, { what: 'the first files' });
  return { recorded, withdraw, answer, left, releases: () => readdir(join(at.folder, 'releases')) };
}

/** Cancels the ticket of an order. */
async function cancel(at: Field, { body }: Envelope): Promise<void> {
  const { ticket, task } = messageCodec(types.EnvelopeBody).decode(body as Buffer);
  const envelope = at.signer.signEnvelope({
    ...{ tentacle: 'machine-1', ticket, task, epoch: 1, kind: 'cancel' },
    ...{ expiresAtMs: Date.now(), payload: Buffer.alloc(0) },
  });
  await at.client.unary((c, o, done) => c.cancelScript({ envelope }, o, done), { deadlineMs: 20_000 });
}

it('stops an activation whose ticket is cancelled, puts back what was installed, and says so', async () => {
  const at = await field();
  const installTo = join(at.installRoot, 'web');
  const deployed = async (version: string, bytes: Buffer) =>
    record(at, await startOrigin(at.authority, `near-${version[0]}`, bytes), bytes, version, { installTo });
  await deploy(at, await deployed('1.0.0', app('1')));
  const before = await readlink(join(at.folder, 'current'));
  const many = Array.from({ length: 1000 }, (_, i) => ({ name: `d${i % 20}/f${i}`, content: 'x' }));
  const recorded = await deployed('2.0.0', tarGz(many));
  for (const action of ['acquire', 'stage'] as const) await send(at, recorded, action);
  const answer = send(at, recorded, 'activate');
  await waitFor(async () => (await readdir(installTo)).includes('d0'), { what: 'the first files' });
  await cancel(at, recorded.activate);
  await expect(answer).rejects.toMatchObject({
    code: 'CANCELLED',
    message: expect.stringMatching(/1\.0\.0-.* is installed again/) as string,
  });
  expect((await readdir(installTo)).sort()).toEqual(['.isthmus-installation', 'app.js']);
  expect(await readlink(join(at.folder, 'current'))).toBe(before);
  await expect(send(at, recorded, 'activate')).rejects.toMatchObject({ code: 'TICKET_ALREADY_USED' });
});

it('stops unpacking when the server withdraws the order, removes what it left, and takes the order again', async () => {
  const at = await field();
  const { recorded, withdraw, answer, left, releases } = await staging(at);
  withdraw.abort();
  await expect(answer).rejects.toMatchObject({ code: 'CANCELLED' });
  await waitFor(async () => (await left()).length === 0, { what: 'an empty folder' });
  expect(await releases()).toEqual([]);
  expect(await send(at, recorded, 'stage')).toMatchObject({ files: 1000 });
});

it('carries out no order whose ticket the server has cancelled, before and after a restart', async () => {
  const at = await field();
  const { recorded, withdraw, answer, left } = await staging(at);
  withdraw.abort();
  await expect(answer).rejects.toMatchObject({ code: 'CANCELLED' });
  await waitFor(async () => (await left()).length === 0, { what: 'an empty folder' });
  await cancel(at, recorded.stage);
  const before = await at.state();
  for (const round of ['before', 'after'] as const) {
    if (round === 'after') await at.restart();
    await expect(send(at, recorded, 'stage')).rejects.toMatchObject({ code: 'TICKET_ALREADY_USED' });
    expect(await at.state()).toEqual(before);
  }
});

it('goes on unpacking when the connection is lost', async () => {
  const at = await field();
  const { answer, releases } = await staging(at);
  at.client.close();
  await expect(answer).rejects.toMatchObject({ code: 'UNREACHABLE' });
  await waitFor(async () => (await releases()).some((name) => name.endsWith('.json')), { what: 'the release' });
});

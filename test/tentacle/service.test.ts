// A whole tentacle, called by a server over the real mesh: signed envelopes, denials without a side effect, live logs,
// replays after completion and after a restart, and which roles may call.
import type { ClientDuplexStream } from '@grpc/grpc-js';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createSigner, type EnvelopeContent, type Signer } from '../../certs/signer.ts';
import { grpcClient, type GrpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { newId } from '../../lib/ids.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { Envelope } from '../../proto/gen/isthmus/tentacle/v1/Envelope.ts';
import type { HealthReport__Output } from '../../proto/gen/isthmus/health/v1/HealthReport.ts';
import type { LogBatch__Output } from '../../proto/gen/isthmus/tentacle/v1/LogBatch.ts';
import type { LogRequest } from '../../proto/gen/isthmus/tentacle/v1/LogRequest.ts';
import type { ScriptPayload } from '../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import type { ScriptStatus__Output } from '../../proto/gen/isthmus/tentacle/v1/ScriptStatus.ts';
import type { TentacleClient } from '../../proto/gen/isthmus/tentacle/v1/Tentacle.ts';
import { EpochFence } from '../../tentacle/scripts/epoch-fence.ts';
import { encodePayload } from '../../tentacle/scripts/payload.ts';
import { start } from '../../tentacle/start.ts';
import { createTestMesh, type TestNode } from '../support/identities.ts';
import { startNode, type StartedNode } from '../support/mesh.ts';
import { startScript } from '../support/start-script.ts';
import { waitFor } from '../support/wait.ts';
import { witnessIn, type Witness } from './support.ts';

const { Tentacle } = loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1;

interface Field {
  readonly node: TestNode;
  readonly signer: Signer;
  readonly witness: Witness;
  readonly client: GrpcClient<TentacleClient>;
  /** Stops the tentacle and starts it again on the same folder. */
  readonly restart: () => Promise<void>;
}

async function field(): Promise<Field> {
  const authority = await createTestMesh();
  const server = await startNode(authority, 'server-1', 'server');
  const node = await authority.node('machine-1', 'tentacle');
  const parents = [{ node: 'server-1', address: server.mesh.address! }];
  let tentacle = await start({ dataDir: node.dataDir, parents }, { log: silentLogger() });
  onTestFinished(() => tentacle.stop());
  const linked = (): boolean => server.mesh.links().some(({ peer, up }) => peer === 'machine-1' && up);
  await waitFor(linked, { what: 'the link' });
  return {
    node,
    signer: createSigner(authority.authority, 'server-1'),
    witness: witnessIn(node.dataDir),
    client: clientOf(server),
    async restart() {
      await tentacle.stop();
      await waitFor(() => !linked());
      tentacle = await start({ dataDir: node.dataDir, parents }, { log: silentLogger() });
      await waitFor(linked, { what: 'the link' });
    },
  };
}

function clientOf(from: StartedNode, node = 'machine-1', path: readonly string[] = []): GrpcClient<TentacleClient> {
  const options = { node, service: 'tentacle', path, class: 'control' as const, deadlineMs: 5_000 };
  const client = grpcClient<TentacleClient>(Tentacle, (signal) => from.mesh.dial({ ...options, signal }), {
    hop: node,
  });
  onTestFinished(() => client.close());
  return client;
}

type Content = Partial<Omit<EnvelopeContent, 'payload'>> & { readonly payload?: ScriptPayload };

function envelopeFor(signer: Signer, { payload, ...more }: Content): Envelope {
  return signer.signEnvelope({
    ...{ tentacle: 'machine-1', ticket: newId(), task: newId(), epoch: 1, kind: 'script' },
    expiresAtMs: Date.now() + 60_000,
    ...more,
    payload: encodePayload({ interpreter: 'bash', isolation: 'shared', ...payload }),
  });
}

interface Followed {
  readonly lines: string[];
  readonly end: ScriptStatus__Output;
}

/** Reads a log to its end and acknowledges it as a server does; with `start`, it first starts the script. */
async function follow(client: GrpcClient<TentacleClient>, { start = null, ...key }: LogRequest): Promise<Followed> {
  const open = await client.ready();
  const call: ClientDuplexStream<LogRequest, LogBatch__Output> = start ? open.runScript() : open.streamLogs();
  call.on('error', () => undefined);
  call.write({ ...key, start });
  const lines: string[] = [];
  let next = Number(key.afterLine ?? 0) + 1;
  let awaitsStart = Boolean(start);
  try {
    for await (const batch of call as AsyncIterable<LogBatch__Output>) {
      if (awaitsStart) {
        expect(batch).toMatchObject({ ticket: key.ticket, lines: [], started: { ticket: key.ticket } });
        awaitsStart = false;
        continue;
      }
      expect(batch.firstLine).toBe(next);
      next += batch.lines.length;
      lines.push(...batch.lines.map(({ text }) => text));
      call.write({ ...key, acknowledgedLine: next - 1 });
      if (batch.end !== null) return { lines, end: batch.end };
    }
  } catch (error) {
    throw client.errorOf(error);
  } finally {
    call.cancel();
  }
  throw new Error('the log ended without an end');
}

/** What a tentacle writes whenever a link or a peer changes. */
const OWN_NOTES = ['denials.json', 'status.json', '.status.json'];

/** The files of a tentacle's folder with their content, without its own notes. */
async function contentOf(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && OWN_NOTES.every((name) => !entry.name.startsWith(name)));
  const read = files.map(async ({ parentPath, name }) => {
    const path = join(parentPath, name);
    return [path, await readFile(path, 'latin1')] as const;
  });
  return new Map(await Promise.all(read));
}

describe('the tentacle service', () => {
  test('starts a signed script, streams its log from any line, completes it', async () => {
    const { client, signer } = await field();
    const key = { ticket: newId(), task: newId(), epoch: 1 };
    const body = 'for i in 1 2 3 4; do echo "line $i"; sleep 0.02; done; exit 3';
    await startScript(client, envelopeFor(signer, { ...key, payload: { body } }));
    const { lines, end } = await follow(client, { ...key, afterLine: 0 });
    expect(lines).toEqual(['line 1', 'line 2', 'line 3', 'line 4']);
    expect(end).toMatchObject({ ticket: key.ticket, phase: 'EXITED', exitCode: 3, lastLine: 4 });
    expect((await follow(client, { ...key, afterLine: 3 })).lines).toEqual(['line 4']);
    expect((await follow(client, { ...key, afterLine: 4 })).lines).toEqual([]);
    const completed = await client.unary<ScriptStatus__Output>((c, o, done) => c.completeScript(key, o, done), {
      deadlineMs: 5_000,
    });
    expect(completed).toMatchObject({ phase: 'COMPLETED', exitCode: 3 });
    await expect(follow(client, { ...key, afterLine: 0 })).rejects.toMatchObject({ code: 'TICKET_ALREADY_USED' });
  });

  test('starts a script and streams its log in one call; asked again, streams it again', async () => {
    const { client, signer, witness } = await field();
    const key = { ticket: newId(), task: newId(), epoch: 1 };
    const body = `${witness.testify(key.ticket)}; echo one; echo two; exit 3`;
    const start = envelopeFor(signer, { ...key, payload: { body } });
    for (const afterLine of [0, 1]) {
      const { lines, end } = await follow(client, { ...key, afterLine, start });
      expect(lines).toEqual(['one', 'two'].slice(afterLine));
      expect(end).toMatchObject({ phase: 'EXITED', exitCode: 3, lastLine: 2 });
    }
    expect(await witness.starts()).toEqual(new Map([[key.ticket, 1]]));
  });

  test('keeps nothing of callers that hang up, whatever it was doing for them', async () => {
    let watched = 0;
    const { onEpoch } = EpochFence.prototype;
    vi.spyOn(EpochFence.prototype, 'onEpoch').mockImplementation(function (this: EpochFence, listener) {
      watched += 1;
      const unsubscribe = onEpoch.call(this, listener);
      return () => {
        watched -= 1;
        return unsubscribe();
      };
    });
    onTestFinished(() => void vi.restoreAllMocks());
    const { client, signer } = await field();
    const open = await client.ready();
    const keys = Array.from({ length: 40 }, () => ({ ticket: newId(), task: newId(), epoch: 1 }));
    for (const [index, key] of keys.entries()) {
      const call = open.runScript();
      call.on('error', () => undefined).on('data', () => undefined);
      call.write({ ...key, start: envelopeFor(signer, { ...key, payload: { body: 'true' } }) });
      // Cancelled anywhere between the first byte and the last line.
      for (let ticks = 0; ticks < index; ticks += 1) await setImmediate();
      call.cancel();
    }
    // Those that were started run to their end.
    for (const key of keys) await follow(client, key).catch(() => undefined);
    await waitFor(() => watched === 0, { what: 'the last listener to be removed' });
  });

  test('completes a ticket with the acknowledgement of its end, and says so', async () => {
    const { client, signer } = await field();
    const key = { ticket: newId(), task: newId(), epoch: 1 };
    await startScript(client, envelopeFor(signer, { ...key, payload: { body: 'echo one; exit 3' } }));
    const call: ClientDuplexStream<LogRequest, LogBatch__Output> = (await client.ready()).streamLogs();
    call.write({ ...key, afterLine: 0 });
    const phases: string[] = [];
    for await (const batch of call as AsyncIterable<LogBatch__Output>) {
      if (batch.end) phases.push(batch.end.phase);
      if (phases.length === 1) call.write({ ...key, acknowledgedLine: 1, complete: true });
      else call.write({ ...key, acknowledgedLine: batch.lines.length });
    }
    call.end();
    expect(phases).toEqual(['EXITED', 'COMPLETED']);
    const status = await client.unary<ScriptStatus__Output>((c, o, done) => c.getScript(key, o, done), {
      deadlineMs: 5_000,
    });
    expect(status).toMatchObject({ phase: 'COMPLETED', exitCode: 3 });
  });

  test('the first line arrives while the script runs, at once', async () => {
    const { client, signer } = await field();
    const key = { ticket: newId(), task: newId(), epoch: 1 };
    const body = 'date +%s%3N; sleep 300';
    await startScript(client, envelopeFor(signer, { ...key, payload: { body } }));
    const call = (await client.ready()).streamLogs();
    call.on('error', () => undefined);
    call.write({ ...key, afterLine: 0 });
    const delays: number[] = [];
    for await (const batch of call as AsyncIterable<LogBatch__Output>) {
      delays.push(Date.now() - Number(batch.lines[0]!.text));
      break;
    }
    call.cancel();
    // A poll would also be in time; what counts is that nothing waits for the end of the script or for a full batch.
    expect(delays[0]).toBeLessThan(3_000);
    const cancel = signer.signEnvelope({
      ...{ ...key, tentacle: 'machine-1', kind: 'cancel', expiresAtMs: Date.now() + 60_000 },
      payload: Buffer.alloc(0),
    });
    await client.unary((c, o, done) => c.cancelScript({ envelope: cancel }, o, done), { deadlineMs: 5_000 });
    expect((await follow(client, { ...key, afterLine: 0 })).end.phase).toBe('CANCELLED');
  });

  test('rejects orders that are forged, changed, misdirected, expired or of another kind; nothing runs', async () => {
    const { client, signer, witness } = await field();
    const payload = { body: witness.testify('rejected') };
    const good = envelopeFor(signer, { payload });
    const stranger = createSigner((await createTestMesh('other-mesh')).authority, 'server-1');
    const changed = Buffer.from(good.body as Buffer);
    changed[changed.length - 5]! ^= 1;
    const rejected: [string, Envelope][] = [
      ['BAD_TASK_SIGNATURE', envelopeFor(stranger, { payload })],
      ['BAD_TASK_SIGNATURE', { ...good, signature: Buffer.alloc(64) }],
      ['BAD_TASK_SIGNATURE', { ...good, body: changed }],
      ['BAD_TASK_SIGNATURE', {}],
      ['WRONG_RECIPIENT', envelopeFor(signer, { tentacle: 'machine-2', payload })],
      ['ENVELOPE_KIND', envelopeFor(signer, { kind: 'cancel', payload })],
      ['ENVELOPE_EXPIRED', envelopeFor(signer, { expiresAtMs: Date.now() - 6 * 60_000, payload })],
      ['TICKET_TOO_OLD', envelopeFor(signer, { ticket: 'not-a-ticket', payload })],
    ];
    for (const [code, envelope] of rejected) {
      await expect(startScript(client, envelope)).rejects.toMatchObject({ code });
      await expect(follow(client, { start: envelope })).rejects.toMatchObject({ code });
    }
    expect(await witness.starts()).toEqual(new Map());
  });

  test.each([
    ['cancelScript', 'cancel'],
    ['acquirePackage', 'acquire'],
    ['stagePackage', 'stage'],
    ['activatePackage', 'activate'],
    ['settlePackage', 'settle'],
  ] as const)('rejects the same orders to %s, and changes nothing', async (method, kind) => {
    const { client, node, signer } = await field();
    const call = async (envelope: Envelope): Promise<void> => {
      const deadlineMs = 10_000;
      if (method === 'cancelScript')
        await client.unary((c, o, done) => c.cancelScript({ envelope }, o, done), { deadlineMs });
      if (method !== 'cancelScript' && method !== 'acquirePackage')
        await client.unary((c, o, done) => c[method]({ envelope }, o, done), { deadlineMs });
      if (method !== 'acquirePackage') return;
      const stream = (await client.ready()).acquirePackage({ envelope });
      await once(stream, 'end').catch((thrown: unknown) => {
        throw client.errorOf(thrown);
      });
    };
    const good = envelopeFor(signer, { kind });
    const stranger = createSigner((await createTestMesh('other-mesh')).authority, 'server-1');
    const changed = Buffer.from(good.body as Buffer);
    changed[changed.length - 5]! ^= 1;
    const before = await contentOf(node.dataDir);
    for (const [code, envelope] of [
      ['BAD_TASK_SIGNATURE', envelopeFor(stranger, { kind })],
      ['BAD_TASK_SIGNATURE', { ...good, signature: Buffer.alloc(64) }],
      ['BAD_TASK_SIGNATURE', { ...good, body: changed }],
      ['BAD_TASK_SIGNATURE', {}],
      ['WRONG_RECIPIENT', envelopeFor(signer, { tentacle: 'machine-2', kind })],
      ['ENVELOPE_KIND', envelopeFor(signer, { kind: 'script' })],
      ...(method === 'cancelScript'
        ? []
        : [['ENVELOPE_EXPIRED', envelopeFor(signer, { kind, expiresAtMs: Date.now() - 6 * 60_000 })] as const]),
    ] as const) {
      await expect(call(envelope), code).rejects.toMatchObject({ code });
    }
    expect(await contentOf(node.dataDir)).toEqual(before);
  });

  test('a replay after the end, after completion and after a restart starts nothing', async () => {
    const { client, signer, witness, restart } = await field();
    const key = { ticket: newId(), task: newId(), epoch: 1 };
    const envelope = envelopeFor(signer, { ...key, payload: { body: `${witness.testify(key.ticket)}; exit 1` } });
    await startScript(client, envelope);
    await follow(client, { ...key, afterLine: 0 });
    expect(await startScript(client, envelope)).toMatchObject({ phase: 'EXITED', exitCode: 1 });
    await client.unary((c, o, done) => c.completeScript(key, o, done), { deadlineMs: 5_000 });
    await expect(startScript(client, envelope)).rejects.toMatchObject({ code: 'TICKET_ALREADY_USED' });
    await restart();
    await expect(startScript(client, envelope)).rejects.toMatchObject({ code: 'TICKET_ALREADY_USED' });
    expect(await witness.starts()).toEqual(new Map([[key.ticket, 1]]));
  });

  test('a new owner ends the log stream of the stale one', async () => {
    const { client, signer } = await field();
    const key = { ticket: newId(), task: newId(), epoch: 1 };
    await startScript(client, envelopeFor(signer, { ...key, payload: { body: 'sleep 2' } }));
    const stale = follow(client, { ...key, afterLine: 0 });
    const rejected = expect(stale).rejects.toMatchObject({ code: 'STALE_EPOCH' });
    await client.unary((c, o, done) => c.getScript({ ...key, epoch: 2 }, o, done), { deadlineMs: 5_000 });
    await rejected;
    await expect(follow(client, { ...key, afterLine: 0 })).rejects.toMatchObject({ code: 'STALE_EPOCH' });
    expect((await follow(client, { ...key, epoch: 2, afterLine: 0 })).end.phase).toBe('EXITED');
  });

  test('ends a log stream whose acknowledgements make no sense', async () => {
    const { client, signer } = await field();
    const key = { ticket: newId(), task: newId(), epoch: 1 };
    await startScript(client, envelopeFor(signer, { ...key, payload: { body: 'echo x; sleep 1' } }));
    for (const [code, second] of [
      ['INVALID_FIELD', { ...key, acknowledgedLine: 99 }],
      ['TICKET_UNKNOWN', { ...key, ticket: newId(), acknowledgedLine: 0 }],
    ] as const) {
      const call = (await client.ready()).streamLogs();
      const failed = new Promise((resolve) => call.once('error', resolve));
      call.on('data', () => undefined);
      call.write({ ...key, afterLine: 0 });
      call.write(second);
      expect(client.errorOf(await failed)).toMatchObject({ code });
    }
  });

  test('serves servers only: its relay, with its own valid certificate, starts nothing', async () => {
    const authority = await createTestMesh();
    const relay = await startNode(authority, 'relay-1', 'relay');
    const { dataDir } = await authority.node('machine-1', 'tentacle');
    const parents = [{ node: 'relay-1', address: relay.mesh.address! }];
    const tentacle = await start({ dataDir, parents }, { log: silentLogger() });
    onTestFinished(() => tentacle.stop());
    await waitFor(() => relay.mesh.links().some(({ up }) => up));
    const witness = witnessIn(dataDir);
    const signer = createSigner(authority.authority, 'server-1');
    const envelope = envelopeFor(signer, { payload: { body: witness.testify('forged') } });
    await expect(startScript(clientOf(relay), envelope)).rejects.toMatchObject({ code: 'ROLE_FORBIDDEN' });
    await expect(follow(clientOf(relay), { start: envelope })).rejects.toMatchObject({ code: 'ROLE_FORBIDDEN' });
    expect(await witness.starts()).toEqual(new Map());
  });

  test('tells its health without the script engine', async () => {
    const { client, node } = await field();
    const report = await client.unary<HealthReport__Output>((c, o, done) => c.checkHealth({}, o, done), {
      deadlineMs: 5_000,
    });
    expect(Math.abs(report.tentacleTimeMs - Date.now())).toBeLessThan(5_000);
    expect(report.certificateNotAfterMs).toBe(node.identity.peer().notAfterMs);
    expect(report).toMatchObject({ scriptsIsolated: false, runningScripts: 0 });
    expect(report.interpreters).toContainEqual({ name: 'sh', path: expect.stringMatching(/^\/.*\/sh$/) as string });
    for (const value of [
      report.load_1m,
      report.diskFreeBytes,
      report.diskTotalBytes,
      report.memoryFreeBytes,
      report.cpus,
    ]) {
      expect(value).toBeGreaterThan(0);
    }
  });

  test('one tentacle per data folder; SIGUSR1 opens no debugger', async () => {
    const { node } = await field();
    await expect(start({ dataDir: node.dataDir, parents: [] }, { log: silentLogger() })).rejects.toMatchObject({
      code: 'DATA_DIR_LOCKED',
      message: expect.stringContaining(String(process.pid)) as string,
    });
    expect(process.listenerCount('SIGUSR1')).toBeGreaterThan(0);
  });
});

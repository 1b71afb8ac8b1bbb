// A compromised relay between a whole server and real tentacles: what it replays, changes or invents starts nothing,
// loses nothing, and is reported as a denial.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openAuthority } from '../../certs/authority.ts';
import { MESH_SERVICES } from '../../contract/services.ts';
import { IdentityStore } from '../../certs/identity.ts';
import { RevocationList } from '../../certs/revocations.ts';
import { createSigner, type EnvelopeContent } from '../../certs/signer.ts';
import { grpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { newId } from '../../lib/ids.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { openMasterKey } from '../../lib/secrets/seal.ts';
import { createMesh } from '../../mesh/mesh.ts';
import { Denials } from '../../mesh/denials.ts';
import type * as inner from '../../mesh/e2e/session.ts';
import type { Mesh } from '../../mesh/types.ts';
import type { Envelope } from '../../proto/gen/isthmus/tentacle/v1/Envelope.ts';
import type { TentacleClient } from '../../proto/gen/isthmus/tentacle/v1/Tentacle.ts';
import { encodePayload } from '../../tentacle/scripts/payload.ts';
import { WholeMesh, type JoinedNode } from '../server/whole.ts';
import { createTestMesh } from '../support/identities.ts';
import { startScript } from '../support/start-script.ts';
import { waitFor } from '../support/wait.ts';
import { witnessIn, type Witness } from '../tentacle/support.ts';
import type { Direction } from './rogue-relay.ts';

const rogue = await vi.hoisted(async () => new (await import('./rogue-relay.ts')).Rogue());
vi.mock('../../mesh/tunnel/splice.ts', () => ({ splice: rogue.splice }));
vi.mock('../../mesh/e2e/session.ts', async (original) => {
  const real = await original<typeof inner>();
  return { ...real, openSession: rogue.innerOf(real.openSession) };
});

const anyId = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const { Tentacle } = loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1;

interface Field {
  readonly mesh: WholeMesh;
  readonly relay: Mesh;
  readonly web1: JoinedNode;
  readonly witness: Witness;
  /** Runs a script on web-1 to its end; returns the task's id, its ticket as bash saw it, and its log. */
  run(lines?: number): Promise<{ task: string; state: string; log: string[] }>;
  /** What nodes have denied, as `node: code by what`. */
  denials(): Promise<string[]>;
}

async function field(): Promise<Field> {
  const mesh = await WholeMesh.up();
  await mesh.api.ask('POST', '/sites', { id: 'eu' });
  await mesh.api.ask('POST', '/environments', { id: 'prod' });
  const relay = await startRelay(await mesh.join({ id: 'eu', role: 'relay' }));
  await mesh.linked('eu');
  const web1 = await mesh.add({ id: 'web-1', role: 'tentacle', parent: 'eu' });
  await mesh.add({ id: 'web-2', role: 'tentacle', parent: 'eu' });
  const witness = witnessIn(mesh.folder);
  return {
    ...{ mesh, relay, web1, witness },
    async run(lines = 3) {
      const body = `${witness.testify('$ISTHMUS_TASK')}; for i in $(seq ${lines}); do echo "line $i of $ISTHMUS_TASK"; done`;
      const { id, state } = await mesh.api.task('/scripts', { body, machines: ['web-1'] });
      return { task: id, state, log: await mesh.api.log(id) };
    },
    async denials() {
      const { items } = await mesh.api.ask('GET', '/events?denied=true&type=peer.denied&limit=100');
      const events = items as { actor: string; subject: string; data: { code: string; what: string } }[];
      return events.map(({ actor, subject, data }) => `${actor}: ${data.code} ${subject} ${data.what}`).sort();
    },
  };
}

/** The real mesh of a relay, under the rogue's control. */
async function startRelay({ dataDir, listen, parents }: JoinedNode): Promise<Mesh> {
  const identity = await IdentityStore.open(dataDir);
  const { authorityPem, meshId } = identity.current();
  const revocations = await RevocationList.open(dataDir, authorityPem, meshId);
  const deps = { identity, revocations, log: silentLogger(), relaying: true, services: MESH_SERVICES };
  const mesh = await createMesh({ listen, parents, dials: [] }, deps);
  onTestFinished(() => mesh.stop());
  return mesh;
}

/** Opens the tentacle service of a machine from the relay, under the identity that the relay claims. */
function startScriptFrom(relay: Mesh, machine: string, envelope: Envelope): Promise<unknown> {
  const options = { node: machine, service: 'tentacle', class: 'control', deadlineMs: 5_000 } as const;
  const client = grpcClient<TentacleClient>(Tentacle, (signal) => relay.dial({ ...options, signal }));
  onTestFinished(() => client.close());
  return startScript(client, envelope);
}

/** What a copy of the server's folder gives: its session key, and its right to sign. */
async function stolenFrom({ dataDir }: WholeMesh) {
  const authority = openAuthority(dataDir, openMasterKey({ dataDir }));
  const identity = await IdentityStore.open(dataDir);
  const { authorityPem, meshId } = identity.current();
  const revocations = await RevocationList.open(dataDir, authorityPem, meshId);
  return {
    trust: { identity, revocations, denials: new Denials() },
    sign(body: string, more: Partial<EnvelopeContent>): Envelope {
      return createSigner(authority, 'server-1').signEnvelope({
        ...{ tentacle: 'web-1', ticket: newId(), task: newId(), epoch: 1, kind: 'script' },
        expiresAtMs: Date.now() + 60_000,
        ...more,
        payload: encodePayload({ interpreter: 'bash', isolation: 'shared', body }),
      });
    },
  };
}

describe('a relay', () => {
  it('that replays what it recorded starts nothing, now, after a restart, or elsewhere', async () => {
    const { mesh, relay, web1, witness, run, denials } = await field();
    const first = await run();
    expect(first.state).toBe('succeeded');
    const recorded = rogue.carried
      .filter(({ service }) => service === 'tentacle')
      .flatMap(({ bytes }) => [Buffer.concat(bytes.there), Buffer.concat(bytes.back)]);
    expect(recorded.length).toBeGreaterThanOrEqual(2);
    const replayTo = async (node: string) => {
      for (const bytes of recorded) {
        rogue.replayInstead(bytes);
        await expect(relay.dial({ node, service: 'tentacle', class: 'control', deadlineMs: 5_000 })).rejects.toThrow();
      }
      rogue.replayInstead(undefined);
    };
    await replayTo('web-1');
    await replayTo('web-2');
    await mesh.stopNode('web-1');
    await waitFor(() => relay.links().every(({ peer, up }) => peer !== 'web-1' || !up));
    await mesh.startNode({ id: 'web-1', role: 'tentacle' }, web1);
    await waitFor(() => relay.links().some(({ peer, up }) => peer === 'web-1' && up));
    await replayTo('web-1');
    expect(await witness.starts()).toEqual(new Map([[first.task, 1]]));
    // An agent also reports its denials from before a restart, and repeats the same one only after ten minutes.
    const expected = ['web-1: E2E_TLS eu tentacle', 'web-2: E2E_TLS eu tentacle'];
    await waitFor(async () => (await denials()).length === expected.length, { what: 'the audit events' });
    expect(await denials()).toEqual(expected);
    // Nobody was delayed.
    expect((await run()).state).toBe('succeeded');
  });

  it('with its own valid certificate may open nothing on a tentacle', async () => {
    const { mesh, relay, witness, denials } = await field();
    const envelope = (await stolenFrom(mesh)).sign(witness.testify('forged'), {});
    await expect(startScriptFrom(relay, 'web-1', envelope)).rejects.toMatchObject({
      code: 'ROLE_FORBIDDEN',
      hop: 'web-1',
    });
    const upgrading = { node: 'web-1', service: 'upgrade', class: 'control', deadlineMs: 5_000 } as const;
    await expect(relay.dial(upgrading)).rejects.toMatchObject({ code: 'ROLE_FORBIDDEN', hop: 'web-1' });
    await waitFor(async () => (await denials()).length > 1, { what: 'the audit events' });
    expect(await denials()).toEqual(['web-1: ROLE_FORBIDDEN eu tentacle', 'web-1: ROLE_FORBIDDEN eu upgrade']);
    expect(await witness.starts()).toEqual(new Map());
  });

  it('that has stolen a server’s session key starts nothing without its signature, and nothing twice', async () => {
    const { mesh, relay, witness, run, denials } = await field();
    const done = await run();
    const { trust, sign } = await stolenFrom(mesh);
    rogue.disguiseAs(trust);
    onTestFinished(() => rogue.disguiseAs(undefined));
    const journal = await readFile(join(mesh.folder, 'web-1/journal/journal'), 'latin1');
    const ticket = journal.match(anyId)?.find((id) => id !== done.task);
    const body = witness.testify('forged');
    const good = sign(body, {});
    const stranger = createSigner((await createTestMesh('other')).authority, 'server-1');
    const content = { tentacle: 'web-1', ticket: newId(), task: newId(), epoch: 1, kind: 'script' as const };
    const payload = encodePayload({ interpreter: 'bash', isolation: 'shared', body });
    for (const [code, machine, envelope] of [
      ['BAD_TASK_SIGNATURE', 'web-1', {}],
      ['BAD_TASK_SIGNATURE', 'web-1', { ...good, signature: Buffer.alloc(64) }],
      ['BAD_TASK_SIGNATURE', 'web-1', stranger.signEnvelope({ ...content, expiresAtMs: Date.now() + 60_000, payload })],
      ['WRONG_RECIPIENT', 'web-2', good],
      ['TICKET_ALREADY_USED', 'web-1', sign(body, { ticket: ticket!, task: done.task })],
      ['TICKET_TOO_OLD', 'web-1', sign(body, { ticket: `${'0'.repeat(10)}${newId().slice(10)}` })],
      ['ENVELOPE_EXPIRED', 'web-1', sign(body, { expiresAtMs: Date.now() - 600_000 })],
      ['ENVELOPE_KIND', 'web-1', sign(body, { kind: 'cancel' })],
    ] as const) {
      await expect(startScriptFrom(relay, machine, envelope), code).rejects.toMatchObject({ code });
      // The next denial comes in another report, which contains this one again.
      await waitFor(async () => (await denials()).some((told) => told.includes(code)), {
        what: `the event of ${code}`,
      });
    }
    const call = 'server-1 /isthmus.tentacle.v1.Tentacle/RunScript';
    const expected = [
      `web-1: BAD_TASK_SIGNATURE ${call}`,
      `web-1: ENVELOPE_EXPIRED ${call}`,
      `web-1: ENVELOPE_KIND ${call}`,
      `web-1: TICKET_ALREADY_USED ${call}`,
      `web-1: TICKET_TOO_OLD ${call}`,
      `web-2: WRONG_RECIPIENT ${call}`,
    ];
    await waitFor(async () => (await denials()).length === expected.length, { what: 'the audit events' });
    expect(await denials()).toEqual(expected);
    expect(await witness.starts()).toEqual(new Map([[done.task, 1]]));
  });

  it('that changes bytes breaks tunnels and nothing else, at whatever offset', async () => {
    const { witness, run, denials } = await field();
    const tasks: string[] = [];
    for (const [direction, at, cut] of flips) {
      // In the end-to-end handshake, or in the middle of a session in use.
      if (cut) rogue.cut();
      else rogue.restartCount();
      rogue.flipNext(direction, at);
      const { task, state, log } = await run(200);
      expect([state, rogue.flipped], `${direction} ${at}`).toEqual(['succeeded', true]);
      expect(log).toEqual(Array.from({ length: 200 }, (_, index) => `line ${index + 1} of ${task}`));
      tasks.push(task);
    }
    expect(await witness.starts()).toEqual(new Map(tasks.map((task) => [task, 1])));
    // The endpoint that found the wrong bytes has reported it.
    await waitFor(async () => (await denials()).length > 0, { what: 'the audit events' });
    for (const told of await denials()) expect(told).toMatch(/^(web-1|server-1): E2E_TLS eu tentacle$/);
  });
});

/** For each direction: the offset, and whether it counts from the start of a new tunnel. */
const flips: readonly [Direction, number, boolean][] = [
  // The handshake: record type, version, hello, key share, certificate, signature, finished.
  ['there', 0, true], ['there', 1, true], ['there', 12, true], ['there', 160, true], ['there', 900, true],
  ['back', 0, true], ['back', 20, true], ['back', 150, true], ['back', 1_200, true], ['back', 3_000, true],
  // Records of the session: header, first bytes, somewhere inside.
  ['there', 0, false], ['there', 7, false], ['there', 400, false],
  ['back', 0, false], ['back', 9, false], ['back', 2_000, false],
]; // prettier-ignore

// Hundreds of agents whose server dies: all of them reconnect to the next one, first come first served.
import { describe, expect, it, onTestFinished } from 'vitest';
import { generateKey } from '../../certs/keys.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { MESH_SERVICES } from '../../contract/services.ts';
import { createMesh } from '../../mesh/mesh.ts';
import type { Mesh } from '../../mesh/types.ts';
import { createTestMesh } from '../support/identities.ts';
import { startChildProcess } from '../support/mesh-process.ts';
import { waitFor } from '../support/wait.ts';

const agents = 150;
/** After a fault the system recovers by itself within this time. */
const wholeAgainMs = 30_000;
/** Fewer slots than agents, so that some are denied and must retry. */
const limits = { handshakes: 50, concurrentHandshakes: 8 };

describe('a server that dies under its agents', () => {
  it('has all of them again, each with one link', async () => {
    const authority = await createTestMesh();
    const key = await generateKey();
    const server = await authority.node('server-1', 'server');
    const first = await startChildProcess(server, {}, limits);
    const parents = [{ node: 'server', address: first.address }];
    const meshes: Mesh[] = [];
    onTestFinished(async () => void (await Promise.all(meshes.map((mesh) => mesh.stop()))));
    for (let index = 0; index < agents; index += 1) {
      const { identity, revocations } = await authority.node(`agent-${index}`, 'tentacle', { key });
      const own = { identity, revocations, relaying: false, services: MESH_SERVICES };
      const deps = { ...own, log: silentLogger(), limits: { backoffBaseMs: 20 } };
      meshes.push(await createMesh({ parents, dials: [] }, deps));
    }
    const up = (): number => meshes.filter((mesh) => mesh.links().some((link) => link.up)).length;
    const what = 'every agent to have its link';
    await waitFor(() => up() === agents, { limitMs: 80_000, everyMs: 50, what });
    await first.kill();
    await waitFor(() => up() === 0, { what: 'every agent to know that the server is gone' });
    await startChildProcess(server, { listen: first.address }, limits);
    await waitFor(() => up() === agents, { limitMs: wholeAgainMs, everyMs: 50, what });
    expect(meshes.flatMap((mesh) => mesh.links())).toHaveLength(agents);
  }, 180_000);
});

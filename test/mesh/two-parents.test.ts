// A node with two parents: its upward tunnels find the live one, and every link on its paths has the fast heartbeat.
import { describe, expect, it } from 'vitest';
import { ping } from '../../mesh/echo.ts';
import { DEFAULT_LIMITS, type MeshLimits } from '../../mesh/limits.ts';
import { cable } from '../support/fake-link.ts';
import { createTestMesh } from '../support/identities.ts';
import { linked, startNode, type StartedNode } from '../support/mesh.ts';
import { startChildProcess, type MeshProcess } from '../support/mesh-process.ts';
import { waitFor } from '../support/wait.ts';

interface Fork {
  readonly server: StartedNode;
  readonly relays: Readonly<Record<'eu-a' | 'eu-b', MeshProcess>>;
  readonly machine: StartedNode;
}

/** A server, two relays as processes that dial it, and a machine that dials both, eu-a first. */
async function startFork(serverAddress?: (real: string) => Promise<string>): Promise<Fork> {
  const authority = await createTestMesh();
  const server = await startNode(authority, 'server-1', 'server');
  const address = server.mesh.address!;
  const relay = async (name: string, at: string): Promise<MeshProcess> =>
    startChildProcess(await authority.node(name, 'relay'), { parents: [{ node: 'server-1', address: at }] });
  const relays = {
    'eu-a': await relay('eu-a', (await serverAddress?.(address)) ?? address),
    'eu-b': await relay('eu-b', address),
  };
  const parents = Object.entries(relays).map(([node, process]) => ({ node, address: process.address }));
  const machine = await startNode(authority, 'web-1', 'tentacle', { parents });
  await waitFor(() => up(server) === 'eu-a,eu-b' && up(machine) === 'eu-a,eu-b', { what: 'all links' });
  return { server, relays, machine };
}

function up({ mesh }: StartedNode): string {
  const peers = mesh.links().flatMap((link) => (link.up ? [link.peer] : []));
  return peers.toSorted().join(',');
}

function linkTo({ mesh }: StartedNode, peer: string) {
  return mesh.links().find((link) => link.peer === peer);
}

const reachServer = ({ mesh }: StartedNode) => ping(mesh, { node: 'server', deadlineMs: 5_000 });

describe('what a node with two parents opens upwards', () => {
  it('goes by the second when the first was killed', async () => {
    const { server, relays, machine } = await startFork();
    const bytes = (relay: string) => linkTo(server, relay)!.bytesIn;
    await reachServer(machine);
    await relays['eu-a'].kill();
    await waitFor(() => up(machine) === 'eu-b', { what: 'the loss' });
    const before = bytes('eu-b');
    await reachServer(machine);
    expect(bytes('eu-b')).toBeGreaterThan(before);
  });

  it('goes by the second when the first has lost the server itself', async () => {
    let line: Awaited<ReturnType<typeof cable>> | undefined;
    const { server, machine } = await startFork(async (real) => (line = await cable(real)).address);
    line!.cut();
    await waitFor(() => up(server) === 'eu-b', { what: 'the loss', limitMs: 20_000 });
    // The machine cannot know: its links to both are up.
    await waitFor(() => up(machine) === 'eu-a,eu-b');
    expect((await reachServer(machine)).facts.node).toBe('server-1');
  });
});

describe('the heartbeat interval', () => {
  const { linkTimeoutMs, fastLinkTimeoutMs } = DEFAULT_LIMITS;

  it('is a second on every link of a node with two parents, up to the server, and long again without it', async () => {
    const { server, machine } = await startFork();
    for (const relay of ['eu-a', 'eu-b']) {
      expect(linkTo(machine, relay)?.linkTimeoutMs).toBe(fastLinkTimeoutMs);
      await waitFor(() => linkTo(server, relay)?.linkTimeoutMs === fastLinkTimeoutMs, {
        what: `the heartbeat interval of ${relay}`,
      });
    }
    await machine.mesh.stop();
    for (const relay of ['eu-a', 'eu-b']) {
      await waitFor(() => linkTo(server, relay)?.linkTimeoutMs === linkTimeoutMs, {
        what: `the heartbeat interval of ${relay}`,
      });
    }
  });

  it('is long where there is one path', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const parents = [{ node: 'server-1', address: server.mesh.address! }];
    const machine = await startNode(authority, 'web-1', 'tentacle', { parents });
    await linked(server, machine);
    await reachServer(machine);
    expect(linkTo(machine, 'server-1')?.linkTimeoutMs).toBe(linkTimeoutMs);
    expect(linkTo(server, 'web-1')?.linkTimeoutMs).toBe(linkTimeoutMs);
  });

  it('when short, shows a relay that stands still from above and from below, each by silence', async () => {
    // Only the fast heartbeat can find it: the other one times out after an hour.
    const patient: Partial<MeshLimits> = { heartbeatIntervalMs: 3_600_000, linkTimeoutMs: 3_600_000 };
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server', {}, patient);
    const address = server.mesh.address!;
    const relay = await startChildProcess(await authority.node('eu-a', 'relay'), {
      parents: [{ node: 'server-1', address }],
    });
    const parents = [
      { node: 'eu-a', address: relay.address },
      { node: 'server-1', address },
    ];
    const machine = await startNode(authority, 'web-1', 'tentacle', { parents }, patient);
    await waitFor(() => linkTo(server, 'eu-a')?.linkTimeoutMs === fastLinkTimeoutMs, {
      what: 'the heartbeat interval at the server',
    });
    relay.child.kill('SIGSTOP');
    for (const node of [server, machine]) {
      await waitFor(() => linkTo(node, 'eu-a')?.lastErrorCode === 'LINK_TIMEOUT', {
        limitMs: 30_000,
        what: `${node.name} to give it up`,
      });
    }
    expect(up(machine)).toBe('server-1');
    expect((await reachServer(machine)).facts.node).toBe('server-1');
  });
});

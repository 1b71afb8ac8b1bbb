// Connections that are reset at any moment of a link's and a tunnel's life: no node's process ends, and once the lines
// are stable again nothing is left behind.
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { DialOptions } from '../../mesh/types.ts';
import { createTestMesh } from '../support/identities.ts';
import { startChildProcess } from '../support/mesh-process.ts';
import { startNode, type StartedNode } from '../support/mesh.ts';
import { tcpLine } from '../support/tcp-line.ts';
import { waitFor } from '../support/wait.ts';

const limits = { backoffBaseMs: 5, backoffCapMs: 20 };
const users = 12;
const tunnelsEach = 40;

/** How long a direction of a bad line lives: many end in their handshake, the others while tunnels come and go. */
const lifeMs = (): number => Math.random() * (Math.random() < 0.1 ? 60 : 4_000);

interface BadLine {
  readonly address: string;
  readonly resets: () => number;
  /** Ends no connection any more. */
  heal(): void;
}

/** A proxy to a port that may open later; it ends each connection on both sides, by a reset or cleanly. */
async function badLine(to: () => string | undefined): Promise<BadLine> {
  let [isBad, resets] = [true, 0];
  const end = (...both: readonly Socket[]): void => {
    if (!isBad) return;
    resets += 1;
    const inOrder = Math.random() < 0.3;
    for (const socket of both) {
      if (inOrder) socket.destroy();
      else socket.resetAndDestroy();
    }
  };
  const { address } = await tcpLine(to, {
    carry(one, other) {
      const timer = setTimeout(() => end(one, other), lifeMs());
      one.pipe(other);
      one.once('close', () => {
        clearTimeout(timer);
        other.destroy();
      });
    },
  });
  return { address, resets: () => resets, heal: () => (isBad = false) };
}

/** Opens a tunnel, sends, and closes it some time later; returns whether it was opened. */
async function use(
  { mesh }: StartedNode,
  to: Pick<DialOptions, 'node' | 'path' | 'service' | 'class'>,
): Promise<boolean> {
  try {
    const stream = await mesh.dial({ ...to, deadlineMs: 2_000 });
    stream.on('error', () => undefined).resume();
    stream.write(Buffer.alloc(1_000));
    await Promise.race([sleep(Math.random() * 100), new Promise((resolve) => stream.once('close', resolve))]);
    if (Math.random() < 0.5) stream.end();
    else stream.destroy();
    return true;
  } catch {
    return false;
  }
}

describe('lines that end every connection', () => {
  it.each(['up', 'down'] as const)('end no process, and leave nothing: dialled %s', async (dialling) => {
    const isUp = dialling === 'up';
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server', {}, limits);
    const at = new Map([['server-1', server.mesh.address]]);
    const lines = {
      server: await badLine(() => at.get('server-1')),
      relay: await badLine(() => at.get('eu')),
      child: await badLine(() => at.get('t1')),
    };
    const above = (node: string, { address }: BadLine) => [{ node, ...(isUp ? { address } : {}) }];
    const relay = await startChildProcess(
      await authority.node('eu', 'relay'),
      { parents: above('server-1', lines.server), dials: isUp ? [] : [{ node: 't1', address: lines.child.address }] },
      limits,
    );
    at.set('eu', relay.address);
    const child = await startChildProcess(
      await authority.node('t1', 'tentacle'),
      { parents: above('eu', lines.relay) },
      limits,
    );
    at.set('t1', child.address);
    if (!isUp) server.mesh.assignDials([{ node: 'eu', address: lines.relay.address }]);
    const parents = [{ node: 'eu', address: lines.relay.address }];
    const mirror = await startNode(authority, 'mirror-1', 'mirror', { parents }, limits);

    const down = { node: 't1', path: ['eu'] };
    const up = { node: 'server' };
    const isWhole = async (): Promise<boolean> => {
      const echo = { service: 'echo', class: 'bulk' } as const;
      return (await use(server, { ...down, ...echo })) && use(mirror, { ...up, ...echo });
    };
    await waitFor(isWhole, { limitMs: 30_000, what: 'the first tunnels' });
    const using = Array.from({ length: users }, async (_, user) => {
      const kind = user % 3 === 0 ? 'control' : 'bulk';
      for (let tunnel = 0; tunnel < tunnelsEach; tunnel += 1) {
        const isOpened =
          user % 2 === 0
            ? await use(server, { ...down, class: kind, service: user % 4 === 0 ? 'flood' : 'echo' })
            : await use(mirror, { ...up, class: kind, service: user % 4 === 1 ? 'nothing' : 'echo' });
        await sleep(Math.random() * (isOpened ? 10 : 100));
      }
    });
    await Promise.all(using);
    const resets = Object.values(lines).reduce((sum, line) => sum + line.resets(), 0);
    expect(resets).toBeGreaterThan(users);
    const ends = [relay, child].flatMap((each) => [each.child.exitCode, each.child.signalCode]);
    expect(ends).toEqual([null, null, null, null]);

    for (const line of Object.values(lines)) line.heal();
    await waitFor(isWhole, { limitMs: 30_000, what: 'tunnels over lines that hold' });
    const tunnels = () => [server, mirror].flatMap(({ mesh }) => mesh.links().map((link) => link.tunnels));
    await waitFor(() => tunnels().every((count) => count === 0), { what: 'every tunnel to be gone' });
  });
});

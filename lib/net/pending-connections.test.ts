// Which connection gives way when there are too many that have not proven who they are.
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { beforeEach, expect, it, vi } from 'vitest';
import { PendingConnections, type PendingConnection } from './pending-connections.ts';

class FakeSocket extends EventEmitter {
  readonly remoteAddress: string;
  destroyed = false;
  constructor(remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
  }
  destroy(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

let crowded: string[];
let pending: PendingConnections;
beforeEach(() => {
  crowded = [];
  pending = new PendingConnections({ inAll: 4, perNetwork: 3, ms: 1_000 }, ({ code }, address) => {
    crowded.push(`${address} ${code}`);
  });
});

interface Admitted {
  readonly socket: FakeSocket;
  readonly connection: PendingConnection | undefined;
}

function admit(...addresses: string[]): Admitted[] {
  return addresses.map((address) => {
    const socket = new FakeSocket(address);
    return { socket, connection: pending.admit(socket as unknown as Socket) };
  });
}

const open = (all: readonly Admitted[]) => all.map(({ socket }) => !socket.destroyed);

it('closes the oldest of the newcomer’s own network when that has too many', () => {
  const others = admit('10.0.0.9');
  const own = admit('2a00::1', '2a00::2', '2a00::3', '2a00::4', '2a00::5');
  expect(open(own)).toEqual([false, false, true, true, true]);
  expect(open(others)).toEqual([true]);
  expect(crowded).toEqual(['2a00::1 RATE_LIMITED', '2a00::2 RATE_LIMITED']);
});

it('closes the oldest of the largest network when there are too many in all', () => {
  const all = admit('10.0.0.1', '10.0.0.2', '10.0.0.2', '10.0.0.3', '10.0.0.4');
  expect(open(all)).toEqual([true, false, true, true, true]);
});

it('never closes one that is served, and denies the newcomer where all are', () => {
  const all = admit('10.0.0.1', '10.0.0.1', '10.0.0.1');
  all[0]!.connection!.held = true;
  all[2]!.connection!.held = true;
  const [next] = admit('10.0.0.1');
  expect(open(all)).toEqual([true, false, true]);
  next!.connection!.held = true;
  expect(admit('10.0.0.1')[0]!.connection).toBeUndefined();
  expect(crowded).toHaveLength(1);
});

it('counts none that is settled or closed', () => {
  const first = admit('10.0.0.1', '10.0.0.1', '10.0.0.1');
  first[0]!.connection!.settle();
  first[1]!.socket.destroy();
  expect(open([...first, ...admit('10.0.0.1', '10.0.0.1')])).toEqual([true, false, true, true, true]);
  expect(crowded).toEqual([]);
});

it('closes one that is not settled in its time, and destroys the session over it', () => {
  vi.useFakeTimers();
  try {
    const [late, settled, extended] = admit('10.0.0.1', '10.0.0.1', '10.0.0.1');
    const session = new FakeSocket('10.0.0.1');
    late!.connection!.stream = session as unknown as Socket;
    settled!.connection!.settle();
    settled!.connection!.allow(10);
    extended!.connection!.allow(5_000);
    vi.advanceTimersByTime(1_000);
    expect(open([late!, settled!, extended!])).toEqual([true, true, true]);
    expect(session.destroyed).toBe(true);
    vi.advanceTimersByTime(4_000);
    expect(open([settled!, extended!])).toEqual([true, false]);
  } finally {
    vi.useRealTimers();
  }
});

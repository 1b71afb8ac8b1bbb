// The live topology: which report of a link counts, and that every commit is in the view before its writer goes on.
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { LinkStatus } from '../../mesh/types.ts';
import { tempDir } from '../../test/support/temp.ts';
import { nodeOf, ownLink, topologyOf } from '../../test/support/topology.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { openStore, type Store } from '../store/store.ts';
import { LiveTopology, openLiveTopology, type TopologyChange } from './live.ts';

const now = 1_000_000;

function node(id: string, role: Node['role'], agoMs: number, links: object[]): Node {
  return nodeOf(id, role, [], { report: { links }, lastSeenAt: now - agoMs });
}

const toParent = (peer: string, up = true) => ({ peer, relation: 'parent', up, dialledBy: 'us', roundTripMs: 3 });
const toChild = (peer: string, up = true) => ({ peer, relation: 'child', up, dialledBy: 'peer', roundTripMs: 2 });
const child = (agoMs: number, up = true) => node('web-1', 'tentacle', agoMs, [toParent('eu', up)]);
const relay = (agoMs: number, links: object[]) => node('eu', 'relay', agoMs, links);

function link(nodes: readonly Node[], own: readonly LinkStatus[] = [ownLink('eu')], from = 'eu', to = 'web-1') {
  return topologyOf(nodes, { own, now }).link(from, to);
}

describe('a link', () => {
  it('has the state that its parent reports', () => {
    expect(link([relay(1_000, [toChild('web-1')]), child(2_000)])).toMatchObject({ state: 'up', roundTripMs: 2 });
    expect(link([relay(1_000, [toChild('web-1', false)]), child(2_000)])).toMatchObject({ state: 'down' });
  });

  it('is down when its child now reports so: its parent may be dead', () => {
    expect(link([relay(4_000, [toChild('web-1')]), child(1_000, false)])).toMatchObject({
      state: 'down',
      roundTripMs: null,
    });
  });

  it('has the state that its child reports while its parent has not reported since', () => {
    expect(link([relay(4_000, []), child(1_000)])).toMatchObject({ state: 'up', roundTripMs: 3 });
    expect(link([child(1_000)])).toMatchObject({ state: 'up' });
  });

  it('is down while the child is denied, whatever its parent says, once the process before has gone', () => {
    const start = { nonce: 'b', hostname: 'web-1', address: null, via: 'eu', at: now - 20_000 };
    const denied = (agoMs: number) => ({ ...child(agoMs), deniedStarts: [start] });
    const linked = relay(1_000, [toChild('web-1')]);
    expect(link([linked, denied(40_000)])).toMatchObject({ state: 'down', lastErrorCode: 'NODE_CLONED' });
    expect(link([linked, denied(2_000)])).toMatchObject({ state: 'up' });
    expect(link([linked, child(40_000)])).toMatchObject({ state: 'up' });
  });

  it('is up as soon as its child has linked, and down again once its parent says so', () => {
    const wasDown = relay(2_000, [toChild('web-1', false)]);
    const topology = topologyOf([wasDown], { own: [ownLink('eu')], now });
    const stateAfter = (reporter: Node) => {
      topology.apply({ nodes: [reporter], routes: new Map() });
      return topology.link('eu', 'web-1')?.state;
    };
    expect(stateAfter(child(1_000))).toBe('up');
    expect(stateAfter(relay(800, [toChild('web-1', false)]))).toBe('down');
    // Nothing new: it has not noticed yet.
    expect(stateAfter(child(600))).toBe('down');
    expect(stateAfter(child(400, false))).toBe('down');
    expect(stateAfter(child(200))).toBe('up');
  });

  it('is down when its parent has reported since without the link: the parent has restarted', () => {
    expect(link([relay(1_000, []), child(4_000)])).toMatchObject({ state: 'down', roundTripMs: null });
  });

  it('is unknown when its reports are old', () => {
    const unknown = { state: 'unknown', behind: 'eu', roundTripMs: null };
    expect(link([relay(60_000, [toChild('web-1')])])).toMatchObject(unknown);
    expect(link([child(60_000)])).toMatchObject(unknown);
  });

  it('has the state that its child reports by another path, when its parent is not heard any more', () => {
    const other = node('eu-2', 'relay', 1_000, [toChild('web-1')]);
    const own = [ownLink('eu', { up: false }), ownLink('eu-2')];
    expect(link([relay(20_000, [toChild('web-1')]), other, child(1_000, false)], own)).toMatchObject({ state: 'down' });
  });

  it('does not get old when the clock of the machine is set, whatever is applied anew', () => {
    let wallMs = now;
    const topology = new LiveTopology({ wall: () => wallMs, monotonic: () => 1_000 });
    topology.followLinks({ links: () => [ownLink('eu')], onLinksChanged: () => () => undefined });
    const nodes = [relay(1_000, [toChild('web-1')]), child(2_000)];
    topology.apply({ nodes, routes: new Map() });
    for (const byMs of [3_600_000, -3_600_000]) {
      wallMs = now + byMs;
      topology.apply({ nodes, routes: new Map() });
      expect(topology.link('eu', 'web-1')).toMatchObject({ state: 'up' });
    }
  });

  it('to the server is up only when this server has it, whatever the child reported to the previous process', () => {
    const eu = node('eu', 'relay', 1_000, [toParent('server')]);
    expect(link([eu], [], 'server', 'eu')).toMatchObject({ state: 'down' });
    expect(link([eu], [ownLink('eu')], 'server', 'eu')).toMatchObject({ state: 'up' });
  });

  it('starts at `server`, also when its child names a server node', () => {
    const server = nodeOf('server-1', 'server', []);
    const eu = node('eu', 'relay', 1_000, [toParent('server-1', false)]);
    for (const nodes of [
      [server, eu],
      [eu, server],
    ]) {
      expect(link(nodes, [], 'server', 'eu')).toMatchObject({ from: 'server', to: 'eu', state: 'down' });
      expect(topologyOf(nodes, { now }).links()).toHaveLength(1);
    }
  });

  it('is listed once, whichever end reports it, and no longer once neither does', () => {
    const topology = topologyOf([relay(1_000, [toChild('web-1')]), child(2_000)], { own: [ownLink('eu')], now });
    const listed = () => topology.links().map(({ from, to }) => `${from}>${to}`);
    expect(listed()).toEqual(['eu>web-1', 'server>eu']);
    topology.apply({ nodes: [relay(500, [])], routes: new Map() });
    expect(listed()).toEqual(['eu>web-1', 'server>eu']);
    topology.apply({ nodes: [node('web-1', 'tentacle', 400, [])], routes: new Map() });
    expect(listed()).toEqual(['server>eu']);
  });
});

describe('behind a relay that died', () => {
  /** server - eu - eu-pci - web-1, and eu - mirror-eu; eu's last reports are still fresh. */
  const nodes = [
    nodeOf('server-1', 'server', []),
    nodeOf('eu', 'relay', ['server'], seen([toChild('eu-pci'), toChild('mirror-eu')])),
    nodeOf('eu-pci', 'relay', ['eu'], seen([toParent('eu'), toChild('web-1')])),
    nodeOf('mirror-eu', 'mirror', ['eu'], seen([toParent('eu')])),
    nodeOf('web-1', 'tentacle', ['eu-pci'], seen([toParent('eu-pci')])),
  ];

  function seen(links: object[]): Partial<Node> {
    return { report: { links }, lastSeenAt: now - 1_000 };
  }

  const summary = (own: readonly LinkStatus[]) => {
    const topology = topologyOf(nodes, { own, now });
    return {
      links: topology.links().map(({ from, to, state, behind }) => [`${from}>${to}`, state, behind]),
      nodes: nodes.map((each) => {
        const { live, behind } = topology.liveness(each);
        return [each.id, live, behind];
      }),
    };
  };

  it('everything is unknown, and only its own link is down', () => {
    const { links, nodes: live } = summary([ownLink('eu', { up: false })]);
    expect(links.toSorted()).toEqual([
      ['eu-pci>web-1', 'unknown', 'eu'],
      ['eu>eu-pci', 'unknown', 'eu'],
      ['eu>mirror-eu', 'unknown', 'eu'],
      ['server>eu', 'down', null],
    ]);
    expect(live).toEqual([
      ['server-1', 'online', null],
      ['eu', 'offline', null],
      ['eu-pci', 'unknown', 'eu'],
      ['mirror-eu', 'unknown', 'eu'],
      ['web-1', 'unknown', 'eu'],
    ]);
  });

  it('everything is back as soon as its link is', () => {
    const { links, nodes: live } = summary([ownLink('eu')]);
    expect(links.map(([, state]) => state)).toEqual(['up', 'up', 'up', 'up']);
    expect(live.map(([, state]) => state)).toEqual(['online', 'online', 'online', 'online', 'online']);
  });
});

it('in any tree, a cut link is down when all above it are up, and what is behind it is unknown, behind its child', () => {
  const parentOf = (index: number, pick: number) => (index === 0 ? -1 : pick % (index + 1)) - (index === 0 ? 0 : 1);
  const name = (index: number) => (index < 0 ? 'server' : `r-${index}`);
  const relays = fc.array(fc.record({ pick: fc.nat(), cut: fc.boolean() }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(relays, (drawn) => {
      const parents = drawn.map(({ pick }, index) => parentOf(index, pick));
      const childrenOf = (index: number) => drawn.keys().filter((child) => parents[child] === index);
      const nodes = drawn.map((_, index) => {
        const links = [...childrenOf(index)].map((child) => toChild(name(child), !drawn[child]!.cut));
        return nodeOf(name(index), 'relay', [name(parents[index]!)], { report: { links }, lastSeenAt: now - 1_000 });
      });
      const own = [...childrenOf(-1)].map((child) => ownLink(name(child), { up: !drawn[child]!.cut }));
      const topology = topologyOf(nodes, { own, now });
      /** The highest cut above, if any. */
      const cutAbove = (index: number): number | undefined => {
        if (index < 0) return undefined;
        return cutAbove(parents[index]!) ?? (drawn[index]!.cut ? index : undefined);
      };
      for (const [index, { cut }] of drawn.entries()) {
        const behind = cutAbove(parents[index]!);
        const expected =
          behind === undefined
            ? { state: cut ? 'down' : 'up', behind: null }
            : { state: 'unknown', behind: name(behind) };
        expect(topology.link(name(parents[index]!), name(index))).toMatchObject(expected);
      }
    }),
  );
});

async function opened(): Promise<{ store: Store; topology: LiveTopology }> {
  const store = await openStore({ dataDir: await tempDir(), log: silentLogger() });
  onTestFinished(() => store.close());
  await store.sites.insert({ id: 'eu', name: 'eu', description: '', createdAt: 1 });
  return { store, topology: await openLiveTopology(store) };
}

const parents = [{ node: 'server', dialAddress: null }];
const direct = [{ kind: 'direct' as const }];
const machine = {
  ...{ id: 'web-1', name: 'web-1', site: 'eu', environments: [], targetRoles: [] },
  ...{ routes: direct, createdAt: 1 },
};

type Tx = Parameters<Parameters<Store['transaction']>[0]>[0];
type Change = (tx: Tx, id: string, seed: number) => Promise<unknown>;

const byId = (a: Node, b: Node) => (a.id < b.id ? -1 : 1);
const routesFrom = (seed: number) => [{ kind: 'path' as const, via: [`r-${seed}`] }];
const below = (seed: number) => [{ node: `r-${seed}`, dialAddress: null }];
let inserted = 0;

/** Every write to nodes and to machines' routes. */
const changes: readonly Change[] = [
  (tx) => tx.nodes.insert({ id: `node-${(inserted += 1)}`, role: 'relay', site: 'eu', parents, createdAt: 1 }),
  (tx, id, seed) => tx.nodes.recordLastSeen(id, { report: { links: [toParent('eu')] }, lastSeenAt: seed }),
  (tx, id, seed) => tx.nodes.revoke(id, seed),
  (tx, id, seed) => tx.nodes.admitStart(id, { nonce: `${seed}`, ofSameFolder: seed % 2 === 0 }),
  (tx, id, seed) =>
    tx.nodes.setDeniedStarts(id, [{ nonce: `${seed}`, hostname: 'h', address: null, via: id, at: seed }]),
  (tx, id, seed) => tx.nodes.swapStart(id, `${seed}`, seed),
  (tx, id, seed) =>
    tx.nodes.reactivate({ id, site: 'eu', parents: below(seed), address: null, certificateNotAfter: seed }),
  (tx, id, seed) => tx.nodes.recordReparented(id, below(seed)),
  async (tx, id, seed) => {
    const desired = {
      parents: below(seed).map((parent) => ({ ...parent, address: null })),
      setAt: seed,
      setBy: 'test',
    };
    await tx.nodes.setDesiredParents(id, (await tx.nodes.get(id)).version, desired);
  },
  async (tx, id, seed) => {
    const known = await tx.machines.find(id);
    if (known === undefined) await tx.machines.insert({ ...machine, id, name: id });
    else await tx.machines.update(id, known.version, seed < 5 ? { routes: routesFrom(seed) } : { name: `${seed}` });
  },
  async (tx, id) => {
    const known = await tx.machines.find(id);
    if (known !== undefined) await tx.machines.delete(id, known.version);
  },
];

describe('the view', () => {
  it('equals the store after every change, and is unchanged when a write fails', async () => {
    const { store, topology } = await opened();
    const ids = ['a', 'b', 'c'];
    await store.transaction(async (tx) => {
      for (const id of ids) await tx.nodes.insert({ id, role: 'tentacle', site: 'eu', parents, createdAt: 1 });
    });
    const step = fc.record({
      changes: fc.array(fc.tuple(fc.constantFrom(...changes), fc.constantFrom(...ids), fc.nat(9)), {
        minLength: 1,
        maxLength: 3,
      }),
      fails: fc.nat(3).map((of) => of === 0),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 12 }), async (steps) => {
        for (const { changes: chosen, fails } of steps) {
          const done = store.transaction(async (tx) => {
            for (const [change, id, seed] of chosen) await change(tx, id, seed);
            if (fails) throw new Error('the write fails');
          });
          await (fails ? expect(done).rejects.toThrow('the write fails') : done);
          expect([...topology.nodes.values()].toSorted(byId)).toEqual((await store.nodes.all()).toSorted(byId));
          expect(new Map(topology.routes)).toEqual(await store.machines.routesOf());
        }
      }),
      { numRuns: 40 },
    );
  });

  it('is up to date before the next transaction begins', async () => {
    const { store, topology } = await opened();
    const add = (id: string) =>
      store.transaction(async (tx) => {
        const seen = [...topology.nodes.keys()];
        await tx.nodes.insert({ id, role: 'relay', site: 'eu', parents, createdAt: 1 });
        return seen;
      });
    expect(await Promise.all(['a', 'b', 'c'].map(add))).toEqual([[], ['a'], ['a', 'b']]);
  });

  it('notifies its subscribers of what changed, and whether the structure did', async () => {
    const { store, topology } = await opened();
    const told: TopologyChange[] = [];
    const unsubscribe = topology.onChange((change) => told.push(change));
    await store.transaction((tx) => tx.nodes.insert({ id: 'eu', role: 'relay', site: 'eu', parents, createdAt: 1 }));
    const { structure } = topology;
    await store.transaction((tx) => tx.nodes.recordLastSeen('eu', { report: { links: [] }, lastSeenAt: 5 }));
    expect(topology.structure).toBe(structure);
    await store.transaction((tx) => tx.settings.set('a', '1'));
    await store.transaction((tx) => tx.nodes.revoke('eu', 5));
    expect(topology.structure).not.toBe(structure);
    unsubscribe();
    await store.transaction((tx) => tx.nodes.recordLastSeen('eu', { lastSeenAt: 6 }));
    expect(told).toEqual([
      { nodes: ['eu'], structural: true },
      { nodes: ['eu'], structural: false },
      { nodes: ['eu'], structural: true },
    ]);
  });

  it('reads all nodes only once, however often they change', async () => {
    const store = await openStore({ dataDir: await tempDir(), log: silentLogger() });
    onTestFinished(() => store.close());
    await store.sites.insert({ id: 'eu', name: 'eu', description: '', createdAt: 1 });
    const prototype = Object.getPrototypeOf(store.nodes) as Store['nodes'];
    const all = vi.spyOn(prototype, 'all');
    onTestFinished(() => all.mockRestore());
    const topology = await openLiveTopology(store);
    for (const id of ['a', 'b', 'c']) {
      await store.transaction((tx) => tx.nodes.insert({ id, role: 'relay', site: 'eu', parents, createdAt: 1 }));
      topology.links();
    }
    expect([topology.nodes.size, all.mock.calls.length]).toEqual([3, 1]);
  });
});

// Which start may act as a node: by the one that was admitted last, and by what became of it.
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { StartSessions, ToldStart } from '../../mesh/starts.ts';
import { tempDir } from '../../test/support/temp.ts';
import { openStore, type Store } from '../store/store.ts';
import { openLiveTopology, type LiveTopology } from '../topology/live.ts';
import { NodeStartPolicy, reactivateStart } from './starts.ts';

let store: Store;
let topology: LiveTopology;
let policy: NodeStartPolicy;

beforeEach(async () => {
  store = await openStore({ dataDir: await tempDir(), log: silentLogger() });
  onTestFinished(() => store.close());
  topology = await openLiveTopology(store);
  policy = new NodeStartPolicy({ store, topology });
  await store.transaction((tx) =>
    tx.nodes.insert({ id: 'web-1', role: 'relay', site: null, parents: [], createdAt: 1 }),
  );
});

const told = (...nonces: [string, ...string[]]): ToldStart => ({
  peer: { meshId: 'm', node: 'web-1', role: 'relay', serialNumber: '1', notBeforeMs: 0, notAfterMs: 1 },
  start: { count: nonces.length, nonces, ofThisFolder: nonces.length, hostname: 'host' },
  via: 'eu',
  address: '10.0.0.7',
});

const gone: StartSessions = { ended: () => Promise.resolve(true) };
const silent: StartSessions = { ended: () => Promise.resolve(false) };
/** It reports while it is asked for. */
const live: StartSessions = {
  async ended() {
    await store.transaction((tx) => tx.nodes.recordLastSeen('web-1', { lastSeenAt: Date.now() + 60_000 }));
    return false;
  },
};

const admit = (start: ToldStart, sessions = gone) => policy.admit(start, sessions);
const cloned = expect.objectContaining({ code: 'NODE_CLONED' }) as Error;
const clones = async () => (await store.events.list({ type: 'node.cloned', limit: 100 })).items;

describe('a start', () => {
  it('that follows the admitted one is admitted, however many were lost between them', async () => {
    await admit(told('a'));
    await admit(told('d', 'c', 'b', 'a'));
    expect(topology.nodes.get('web-1')?.startNonce).toBe('d');
  });

  it('that follows an older one is admitted by a server that was restored from a backup', async () => {
    await admit(told('b', 'a'));
    await admit(told('e', 'd', 'c', 'b', 'a'));
    expect(policy.isCurrent('web-1', 'e')).toBe(true);
  });

  it('that may lack what the admitted one has journalled is another generation of the journal', async () => {
    const generation = () => topology.nodes.get('web-1')?.journalGeneration;
    await admit(told('a'));
    const first = generation()!;
    // Restarts, in the folder of the admitted one.
    await admit(told('b', 'a'));
    await admit(told('d', 'c', 'b', 'a'));
    expect(generation()).toBe(first);
    // From a copy of it, or after a boot.
    const copy = told('f', 'e', 'd');
    await admit({ ...copy, start: { ...copy.start!, ofThisFolder: 2 } });
    expect(generation()).toBe(first + 1);
    await expect(admit(told('g', 'd'))).rejects.toThrow(cloned);
    await store.transaction((tx) => reactivateStart(tx, 'web-1', {}, 'admin'));
    expect(generation()).toBe(first + 2);
  });

  it('of a copy, or of a snapshot, lacks the admitted one and is denied: one event, however often it comes', async () => {
    await admit(told('b', 'a'));
    for (let times = 0; times < 3; times += 1) await expect(admit(told('c', 'a'))).rejects.toThrow(cloned);
    expect(await clones()).toMatchObject([{ subject: 'web-1', data: { hostname: 'host', address: '10.0.0.7' } }]);
    expect(topology.nodes.get('web-1')).toMatchObject({ startNonce: 'b', deniedStarts: [{ nonce: 'c', via: 'eu' }] });
  });

  it('of a copy is denied while the process it was copied from reports', async () => {
    await admit(told('a'));
    await expect(admit(told('b', 'a'), live)).rejects.toThrow(cloned);
    // Also when that one is away later: what it was sent is unknown to the copy.
    await expect(admit(told('c', 'b', 'a'), gone)).rejects.toThrow(cloned);
    await admit(told('d', 'a'));
    expect(topology.nodes.get('web-1')).toMatchObject({ startNonce: 'd', deniedStarts: [] });
  });

  it('is neither admitted nor denied while nobody knows whether the one before is live', async () => {
    await admit(told('a'));
    await expect(admit(told('b', 'a'), silent)).rejects.toThrow(expect.objectContaining({ code: 'UNREACHABLE' }));
    expect(await clones()).toEqual([]);
    await admit(told('b', 'a'));
  });

  it('is admitted without a write when it is the admitted one', async () => {
    await admit(told('a'));
    let changes = 0;
    onTestFinished(topology.onChange(() => (changes += 1)));
    for (let times = 0; times < 100; times += 1) await admit(told('a'), live);
    expect(changes).toBe(0);
  });

  it('must be told', async () => {
    await expect(admit({ ...told('a'), start: undefined })).rejects.toThrow(
      expect.objectContaining({ code: 'PROTOCOL' }),
    );
  });

  it('that was denied is let in by an operator, and the one before is shut out at once', async () => {
    await admit(told('b', 'a'));
    await expect(admit(told('c', 'a'))).rejects.toThrow(cloned);
    const ended: string[] = [];
    onTestFinished(policy.follow({ endOtherStarts: (...start) => ended.push(start.join(' ')) }));
    await store.transaction((tx) => reactivateStart(tx, 'web-1', {}, 'admin'));
    expect(ended).toEqual(['web-1 c']);
    await admit(told('d', 'c', 'a'));
    await expect(admit(told('b', 'a'))).rejects.toThrow(cloned);
    await expect(admit(told('e', 'b', 'a'))).rejects.toThrow(cloned);
  });

  it('that was denied is let in by its host, of the last eight; of one host the latest', async () => {
    const of = (nonce: string, hostname: string) => {
      const copy = told(nonce, 'a');
      return { ...copy, start: { ...copy.start!, hostname } };
    };
    await admit(told('b', 'a'));
    const hosts = ['h0', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'h7', 'h1'];
    for (const [index, host] of hosts.entries()) await expect(admit(of(`c${index}`, host))).rejects.toThrow(cloned);
    const denied = () => topology.nodes.get('web-1')?.deniedStarts.map(({ nonce }) => nonce);
    expect(denied()).toEqual(['c8', 'c7', 'c6', 'c5', 'c4', 'c3', 'c2', 'c1']);
    const letIn = (hostname: string) => store.transaction((tx) => reactivateStart(tx, 'web-1', { hostname }, 'admin'));
    await expect(letIn('h0')).rejects.toThrow(expect.objectContaining({ code: 'NODE_NOT_CLONED' }));
    await letIn('h1');
    expect(policy.isCurrent('web-1', 'c8')).toBe(true);
    expect(denied()).toEqual([]);
    await expect(admit(of('c9', 'h2'))).rejects.toThrow(cloned);
  });

  it.each([
    [{}, 'c2'],
    [{ hostname: 'host' }, 'c2'],
    [{ address: '10.0.0.8' }, 'c1'],
    [{ hostname: 'host', address: '10.0.0.8' }, 'c1'],
    [{ hostname: 'other', address: '10.0.0.8' }, undefined],
    [{ address: '10.0.0.1' }, undefined],
  ])('that was denied is let in by its address, where several share a hostname: %j', async (choice, nonce) => {
    await admit(told('b', 'a'));
    for (const [index, address] of ['10.0.0.7', '10.0.0.8', '10.0.0.9'].entries()) {
      await expect(admit({ ...told(`c${index}`, 'a'), address })).rejects.toThrow(cloned);
    }
    const letIn = store.transaction((tx) => reactivateStart(tx, 'web-1', choice, 'admin'));
    if (nonce === undefined) await expect(letIn).rejects.toMatchObject({ code: 'NODE_NOT_CLONED' });
    else await letIn;
    expect(topology.nodes.get('web-1')?.startNonce).toBe(nonce ?? 'b');
  });

  it('cannot be let in when none was denied', async () => {
    const letIn = store.transaction((tx) => reactivateStart(tx, 'web-1', {}, 'admin'));
    await expect(letIn).rejects.toThrow(expect.objectContaining({ code: 'NODE_NOT_CLONED' }));
  });
});

// Package sources: nearest first, over paths that tunnels can take, and never in a circle.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nodeOf, topologyOf } from '../../test/support/topology.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { PackageSources } from './sources.ts';

const node = (
  id: string,
  role: Node['role'],
  parent: string | null,
  site: string | null,
  more: Partial<Node> = {},
): Node => nodeOf(id, role, parent === null ? [] : [parent], { site, ...more });

const nodes = [
  node('server-1', 'server', null, null),
  node('eu', 'relay', 'server', 'eu'),
  node('eu-pci', 'relay', 'eu', 'eu-pci'),
  node('us', 'relay', 'server', 'us'),
  node('mirror-eu', 'mirror', 'eu', 'eu', { feedUrl: 'https://10.0.0.5:7443' }),
  node('mirror-pci', 'mirror', 'eu-pci', 'eu-pci'),
  node('t-eu', 'tentacle', 'eu', 'eu'),
  node('t-pci', 'tentacle', 'eu-pci', 'eu-pci'),
  node('t-us', 'tentacle', 'us', 'us'),
  node('t-central', 'tentacle', 'server-1', 'central'),
];
const offersOf = (id: string, all = nodes) =>
  new PackageSources(topologyOf(all)).of(all.find((each) => each.id === id)!);
/** Without those that are sources only where they are named. */
const ask = (id: string, all = nodes) =>
  offersOf(id, all).flatMap(({ source: { kind: _, ...source }, tier }) => (tier === 'elsewhere' ? [] : [source]));
const feed = { node: 'server', path: [] };

describe('sources', () => {
  it('of a target: its own mirror, those above it, the server', () => {
    expect(ask('t-pci')).toEqual([
      { node: 'mirror-pci', path: ['eu-pci'] },
      { node: 'mirror-eu', path: ['eu-pci', 'eu'] },
      feed,
    ]);
    expect(ask('t-us')).toEqual([feed]);
    expect(ask('t-central')).toEqual([feed]);
  });

  it('gives the open port to nodes of the same site only', () => {
    expect(ask('t-eu')).toEqual([{ node: 'mirror-eu', path: ['eu'], url: 'https://10.0.0.5:7443' }, feed]);
  });

  it('of a mirror: what is above it, not itself', () => {
    expect(ask('mirror-pci')).toEqual([{ node: 'mirror-eu', path: ['eu-pci', 'eu'] }, feed]);
    expect(ask('mirror-eu')).toEqual([feed]);
  });

  it('of a relay: a mirror below it, then those of the sites above it', () => {
    const inner = [...nodes, node('eu-2', 'relay', 'eu', 'eu'), node('mirror-eu-2', 'mirror', 'eu-2', 'eu')];
    expect(ask('eu-pci')).toEqual([{ node: 'mirror-pci', path: [] }, { node: 'mirror-eu', path: ['eu'] }, feed]);
    expect(ask('eu', inner).map(({ node: name, path }) => [name, path])).toEqual([
      ['mirror-eu', []],
      ['mirror-eu-2', ['eu-2']],
      ['server', []],
    ]);
    expect(ask('us')).toEqual([feed]);
  });

  it('leaves out revoked mirrors, and those that are directly below the server and have no port', () => {
    const revoked = nodes.map((each) => (each.id === 'mirror-pci' ? { ...each, state: 'revoked' as const } : each));
    expect(ask('t-pci', revoked)[0]?.node).toBe('mirror-eu');
    const aside = [...nodes, node('mirror-aside', 'mirror', 'server', 'eu')];
    expect(ask('t-eu', aside).map((source) => source.node)).toEqual(['mirror-eu', 'server']);
  });

  it('leads up to a common relay, then down to a mirror below it', () => {
    const inner = [...nodes, node('eu-2', 'relay', 'eu', 'eu'), node('mirror-eu-2', 'mirror', 'eu-2', 'eu')];
    expect(ask('t-eu', inner).map(({ node: name, path }) => [name, path])).toEqual([
      ['mirror-eu', ['eu']],
      ['mirror-eu-2', ['eu', 'eu-2']],
      ['server', []],
    ]);
  });

  it('of a target, after its parents: mirrors beside its site', () => {
    const beside = [
      ...nodes,
      node('eu-dmz', 'relay', 'eu', 'eu-dmz'),
      node('mirror-dmz', 'mirror', 'eu-dmz', 'eu-dmz'),
    ];
    expect(ask('t-pci', beside).map(({ node: name, path }) => [name, path])).toEqual([
      ['mirror-pci', ['eu-pci']],
      ['mirror-eu', ['eu-pci', 'eu']],
      ['mirror-dmz', ['eu-pci', 'eu', 'eu-dmz']],
      ['server', []],
    ]);
    expect(ask('mirror-dmz', beside).map(({ node: name }) => name)).toEqual(['mirror-eu', 'server']);
    expect(ask('mirror-pci', beside).map(({ node: name }) => name)).toEqual(['mirror-eu', 'mirror-dmz', 'server']);
  });

  it('are computed once for a site and structure of the mesh', () => {
    const topology = topologyOf([...nodes, node('t-eu-2', 'tentacle', 'eu', 'eu')]);
    const sources = new PackageSources(topology);
    const of = (id: string) => sources.of(topology.nodes.get(id)!);
    const first = of('t-eu');
    expect(of('t-eu-2')).toBe(first);
    const report = { ...topology.nodes.get('t-eu')!, report: { links: [] }, lastSeenAt: 5 };
    topology.apply({ nodes: [report], routes: new Map() });
    expect(of('t-eu')).toBe(first);
    // A report also carries the feed URL.
    const mirror = { ...topology.nodes.get('mirror-eu')!, feedUrl: 'https://10.0.0.6:7443' };
    topology.apply({ nodes: [mirror], routes: new Map() });
    expect(of('t-eu')[0]?.source).toMatchObject({ node: 'mirror-eu', url: 'https://10.0.0.6:7443' });
    topology.apply({ nodes: [{ ...mirror, state: 'revoked', version: 2 }], routes: new Map() });
    expect(of('t-eu').map(({ source }) => source.node)).toEqual(['server', 'mirror-pci']);
  });

  it('never lets mirrors wait for each other in a circle', () => {
    const tree = fc.array(fc.record({ parent: fc.nat(), site: fc.constantFrom('a', 'b', 'c') }), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(tree, tree, (relays, mirrors) => {
        const all: Node[] = [node('server-1', 'server', null, null)];
        relays.forEach(({ parent, site }, i) =>
          all.push(node(`r${i}`, 'relay', i === 0 ? 'server' : `r${parent % i}`, site)),
        );
        mirrors.forEach(({ parent, site }, i) => all.push(node(`m${i}`, 'mirror', `r${parent % relays.length}`, site)));
        const asks = new Map<string, string[]>(
          mirrors.map((_, i) => [`m${i}`, ask(`m${i}`, all).map((source) => source.node)]),
        );
        const reaches = (from: string, seen: string[]): boolean =>
          (asks.get(from) ?? []).some((next) => seen.includes(next) || reaches(next, [...seen, next]));
        for (const mirror of asks.keys()) expect(reaches(mirror, [mirror])).toBe(false);
      }),
    );
  });
});

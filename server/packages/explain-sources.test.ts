// Which sources a node uses: by what is named for it, then by nearness, then by what it has measured.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyOf, nameOf } from '../../lib/blobs/source.ts';
import type { PackageSource } from '../store/packages/package-sources.ts';
import { explainSources, type Fetching } from './explain-sources.ts';
import type { MeshOffer } from './sources.ts';

const about = { id: 'My.Web', version: '1.0', sha256: 'ab'.repeat(32), filename: 'My.Web.1.0.zip' };
const offer = (node: string, tier: MeshOffer['tier'], siteRank = 0, path: string[] = []): MeshOffer => ({
  source: { kind: 'mesh', node, path },
  tier,
  siteRank,
});
const offers = [
  offer('mirror-a', 'mirror'),
  offer('mirror-b', 'mirror'),
  offer('mirror-up', 'parent', 1),
  offer('mirror-beside', 'sibling'),
  offer('server', 'server'),
  offer('mirror-far', 'elsewhere'),
];
const unused = { machines: [], sites: [], networks: [], version: 1, createdAt: 0 };
const upstream = (id: string, users: Partial<PackageSource> = {}): PackageSource => ({
  ...{ ...unused, kind: 'upstream', id, url: `https://${id}.example/{id}/{filename}` },
  ...(users as object),
});

function requester(report: object = {}, softwareVersion: string | null = '0.2.0'): Fetching['requester'] {
  return { id: 'web-1', role: 'tentacle', site: 'eu', report, softwareVersion };
}

const explain = (given: Partial<Fetching> = {}) =>
  explainSources({ requester: requester(), about, offers, configured: [], ...given });
const order = (given: Partial<Fetching> = {}) => explain(given).map(({ source, why }) => `${nameOf(source)}: ${why}`);
const NEAREST = [
  'mirror-a: mirror',
  'mirror-b: mirror',
  'mirror-up: parent',
  'mirror-beside: sibling',
  'server: server',
];

describe('the sources of a machine', () => {
  it('are its mirrors, those above, those beside, the server', () => {
    expect(order()).toEqual(NEAREST);
  });

  it('begin with what is named for it: itself, its step, its site, its network, the longest first', () => {
    const configured = [
      upstream('wide', { networks: ['10.0.0.0/8'] }),
      upstream('narrow', { networks: ['10.1.0.0/16', '10.0.0.0/8'] }),
      upstream('elsewhere', { networks: ['192.168.0.0/16'], sites: ['us'], machines: ['web-2'] }),
      upstream('of-site', { sites: ['eu'] }),
      upstream('of-step'),
      { ...unused, kind: 'mesh', id: 'of-machine', node: 'mirror-far', machines: ['web-1'] } as const,
    ];
    const report = { addresses: ['fe80::1', '10.1.2.3', 'nonsense'] };
    expect(order({ configured, feed: 'of-step', requester: requester(report) })).toEqual([
      'mirror-far: machine',
      'of-step: step',
      'of-site: site',
      'mirror-a: mirror',
      'mirror-b: mirror',
      'narrow: network',
      'wide: network',
      ...NEAREST.slice(2),
    ]);
    expect(order({ configured, feed: 'server' })[1]).toBe('server: step');
  });

  it('have the URL of this very package, which no name leaves', () => {
    const [first] = explain({
      configured: [upstream('s3', { machines: ['web-1'] })],
      about: { ...about, id: '../a b', filename: 'x?y' },
    });
    expect(first?.source).toEqual({ kind: 'upstream', id: 's3', url: 'https://s3.example/..%2Fa%20b/x%3Fy' });
  });

  it('outside the mesh are not used by a version that does not know them', () => {
    const configured = [upstream('s3', { machines: ['web-1'] })];
    for (const version of ['0.1.0', null]) {
      const found = explain({ configured, requester: requester({}, version) });
      expect([nameOf(found.at(-1)!.source), found.at(-1)?.isUsed]).toEqual(['s3', false]);
    }
  });

  it('are in the order of their measured rates among equals, and last while they are demoted', () => {
    const state = (source: string, bytesPerS: number, demotedAtMs = 0) => ({
      source,
      bytesPerS,
      demotedAtMs,
      code: 'SOURCE_SLOW',
    });
    const of = (...sourceStates: object[]) => order({ requester: requester({ sourceStates }) });
    expect(of(state('mirror-a', 1_000_000), state('mirror-b', 9_000_000))[0]).toBe('mirror-b: mirror');
    expect(of(state('mirror-a', 1_100_000), state('mirror-b', 1_200_000)), 'noise').toEqual(NEAREST);
    expect(of(state('server', 9_000_000)), 'nearness counts first').toEqual(NEAREST);
    const demoted = explain({ requester: requester({ sourceStates: [state('mirror-a', 0, 5)] }) });
    expect(demoted.map(({ source }) => nameOf(source)).at(-1)).toBe('mirror-a');
    expect(demoted.at(-1)?.demoted).toEqual({ atMs: 5, code: 'SOURCE_SLOW' });
  });

  it('are each there once, all that may be used, in the order of the reasons', () => {
    const names = fc.constantFrom('web-1', 'web-2');
    const row = fc.record({
      id: fc.constantFrom('one', 'two', 'three'),
      machines: fc.array(names),
      sites: fc.array(fc.constantFrom('eu', 'us')),
      networks: fc.array(fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', 'fd00::/8')),
      node: fc.constantFrom('mirror-a', 'mirror-far', 'server', undefined),
    });
    const states = fc.array(
      fc.record({
        source: fc.constantFrom('mirror-a', 'server', 'one'),
        bytesPerS: fc.nat(1e7),
        demotedAtMs: fc.nat(1),
        code: fc.constant('X'),
      }),
    );
    const rows = fc.uniqueArray(row, { selector: ({ id }) => id });
    fc.assert(
      fc.property(rows, states, (given, sourceStates) => {
        const configured = given.map(({ node, ...each }): PackageSource =>
          node === undefined ? upstream(each.id, each) : { ...unused, ...each, kind: 'mesh', node },
        );
        const found = explain({ configured, requester: requester({ addresses: ['10.1.0.1'], sourceStates }) });
        const keys = found.map(({ source }) => keyOf(source));
        expect(new Set(keys).size).toBe(keys.length);
        for (const { source, tier } of offers) if (tier !== 'elsewhere') expect(keys).toContain(keyOf(source));
        const isLast = found.map(({ demoted }) => demoted !== undefined);
        expect(isLast).toEqual(isLast.toSorted());
      }),
    );
  });
});

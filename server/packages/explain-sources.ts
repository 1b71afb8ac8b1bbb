// Which sources a node uses for a package, in which order, and why. Dispatch, Sources.Find and the API's explanation take
// this one answer. What is named for the machine comes first, then what its step names, then what is named for its site,
// the mirrors there, what is named for its network, and last what is farther away. Of equals the faster one is first,
// and sources that are demoted come last.
import { isIP } from 'node:net';
import type { PackageSourceWhy } from '../../contract/package-sources.ts';
import { keyOf, nameOf, type Source } from '../../lib/blobs/source.ts';
import { longestNetwork } from '../../lib/net/network-address.ts';
import { fillUrl, type UpstreamPackage } from '../../lib/net/upstream-url.ts';
import { compareText } from '../../lib/text/compare.ts';
import type { SourceState__Output } from '../../proto/gen/isthmus/topology/v1/SourceState.ts';
import type { Node } from '../store/nodes/nodes.ts';
import type { PackageSource } from '../store/packages/package-sources.ts';
import { isAtLeast } from '../topology/software.ts';
import type { MeshOffer } from './sources.ts';
import { UPSTREAMS_SINCE } from './step-source.ts';

export interface ExplainedSource {
  readonly source: Source;
  readonly why: PackageSourceWhy;
  /** The package source, network or site that is the reason; empty when there is nothing more to say. */
  readonly because: string;
  readonly bytesPerS: number | undefined;
  readonly demoted: { readonly atMs: number; readonly code: string } | undefined;
  /** A node of a version that knows no sources outside the mesh does not get them. */
  readonly isUsed: boolean;
}

export interface Fetching {
  readonly requester: Pick<Node, 'id' | 'role' | 'site' | 'report' | 'softwareVersion'>;
  readonly about: UpstreamPackage;
  /** What its step names: a package source, a mirror or `server`. */
  readonly feed?: string | undefined;
  /** What is in the mesh, nearest first. */
  readonly offers: readonly MeshOffer[];
  readonly configured: readonly PackageSource[];
}

const ORDER: readonly PackageSourceWhy[] = [
  'machine', 'step', 'site', 'mirror', 'network', 'parent', 'sibling', 'server',
]; // prettier-ignore

/** A source with its place in the order. */
interface Candidate extends Pick<ExplainedSource, 'source' | 'why' | 'because'> {
  /** Among those with the same reason: the lower one first. */
  readonly rank: number;
}

/** The sources of a node for a package, in the order in which it tries them; each once, for the first reason. */
export function explainSources(fetching: Fetching): ExplainedSource[] {
  const { requester } = fetching;
  const states = reportedStates(requester);
  const rateOf = ({ source }: Candidate) => states.get(keyOf(source))?.bytesPerS ?? 0;
  const all = candidatesFor(fetching).toSorted(
    (a, b) =>
      ORDER.indexOf(a.why) - ORDER.indexOf(b.why) || a.rank - b.rank || speedClass(rateOf(b)) - speedClass(rateOf(a)),
  );
  const once = all.filter(
    ({ source }, index) => all.findIndex((each) => keyOf(each.source) === keyOf(source)) === index,
  );
  const takesUpstreams = isAtLeast(requester, UPSTREAMS_SINCE);
  const explained = once.map(({ source, why, because }): ExplainedSource => {
    const own = states.get(keyOf(source));
    const demotedAs = [states.get(nameOf(source)), own].find((state) => (state?.demotedAtMs ?? 0) > 0);
    return {
      ...{ source, why, because, bytesPerS: own?.bytesPerS === 0 ? undefined : own?.bytesPerS },
      demoted: demotedAs && { atMs: demotedAs.demotedAtMs, code: demotedAs.code },
      isUsed: source.kind === 'mesh' || takesUpstreams,
    };
  });
  return explained.toSorted((a, b) => lateness(a) - lateness(b));
}

/** The only source of a node to which the server pushes. */
export function pushedTo(requester: Fetching['requester']): ExplainedSource {
  const isUsed = isAtLeast(requester, UPSTREAMS_SINCE);
  const source = { kind: 'pushed' } as const;
  return { source, why: 'step', because: 'push', bytesPerS: undefined, demoted: undefined, isUsed };
}

function lateness({ demoted, isUsed }: ExplainedSource): number {
  if (!isUsed) return 2;
  return demoted === undefined ? 0 : 1;
}

function candidatesFor({ requester, about, feed, offers, configured }: Fetching): Candidate[] {
  const byId = configured.toSorted((a, b) => compareText(a.id, b.id));
  const sourcesOf = (named: PackageSource): Source[] =>
    named.kind === 'upstream'
      ? [{ kind: 'upstream', id: named.id, url: fillUrl(named.url, about) }]
      : offers.filter(({ source }) => source.node === named.node).map(({ source }) => source);
  const placed = (named: PackageSource, why: PackageSourceWhy, { rank = 0, because = named.id } = {}): Candidate[] =>
    sourcesOf(named).map((source) => ({ source, why, because, rank }));
  const forFeed = configured.find(({ id }) => id === feed);
  return [
    ...byId.filter(({ machines }) => machines.includes(requester.id)).flatMap((each) => placed(each, 'machine')),
    ...(forFeed === undefined
      ? offers.filter(({ source }) => source.node === feed).map(ofStep)
      : placed(forFeed, 'step')),
    ...byId.filter(({ sites }) => sites.includes(requester.site ?? '')).flatMap((each) => placed(each, 'site')),
    ...byId.flatMap((each) => {
      const network = longestNetwork(each.networks, reportedAddresses(requester));
      return network === undefined ? [] : placed(each, 'network', { rank: -network.bits, because: network.network });
    }),
    ...offers.flatMap(({ source, tier, siteRank: rank }): Candidate[] =>
      tier === 'elsewhere' ? [] : [{ source, why: tier, because: '', rank }],
    ),
  ];
}

function ofStep({ source }: MeshOffer): Candidate {
  return { source, why: 'step', because: source.node, rank: 0 };
}

/** Rates within a factor of two are equal, so that noise moves nobody; a source that was not measured is the slowest. */
function speedClass(bytesPerS: number): number {
  return bytesPerS === 0 ? -1 : Math.floor(Math.log2(bytesPerS));
}

/** Reports are JSON of any version, and are not trusted. */
function reportOf({ report }: Pick<Node, 'report'>) {
  return (report ?? {}) as { readonly addresses?: unknown; readonly sourceStates?: unknown };
}

function reportedAddresses(node: Pick<Node, 'report'>): string[] {
  const { addresses } = reportOf(node);
  const texts = Array.isArray(addresses) ? addresses : [];
  return texts.filter((each): each is string => typeof each === 'string' && isIP(each) !== 0);
}

function reportedStates(node: Pick<Node, 'report'>): ReadonlyMap<string, SourceState__Output> {
  const { sourceStates } = reportOf(node);
  const states = (Array.isArray(sourceStates) ? sourceStates : []) as SourceState__Output[];
  return new Map(states.map((state) => [state.source, state]));
}

// Version skew: which nodes run another version than the server.
import type { VersionSkew } from '../../contract/mesh.ts';
import { compareVersions } from '../../lib/package-versions.ts';
import { compareText } from '../../lib/text/compare.ts';
import type { Node } from '../store/nodes/nodes.ts';

/** The active nodes below and above the server's version, by id; a node that has never reported is neither. */
export function versionSkew(nodes: Iterable<Node>, serverVersion: string): VersionSkew {
  const others = [...nodes].filter(({ role, state }) => role !== 'server' && state === 'active');
  const than = (sign: number) =>
    others
      .filter(({ softwareVersion }) => softwareVersion !== null)
      .filter(({ softwareVersion }) => Math.sign(compareVersions(softwareVersion!, serverVersion)) === sign)
      .map(({ id }) => id)
      .toSorted(compareText);
  return { serverVersion, behind: than(-1), ahead: than(1) };
}

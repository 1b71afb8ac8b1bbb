// What a node of an older version does not know is not asked of it.
import { compareVersions, parseVersion } from '../../lib/package-versions.ts';
import type { Node } from '../store/nodes/nodes.ts';

/** Whether a node has reported this version of Isthmus, or a later one. */
export function isAtLeast({ softwareVersion }: Pick<Node, 'softwareVersion'>, version: string): boolean {
  if (softwareVersion === null || parseVersion(softwareVersion) === undefined) return false;
  return compareVersions(softwareVersion, version) >= 0;
}

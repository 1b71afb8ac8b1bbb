// What a step may say of its sources. It is checked when a deployment is accepted, and again when a machine fetches.
import { IsthmusError } from '../../contract/errors.ts';
import type { PackageSource } from '../store/packages/package-sources.ts';
import { SERVER } from '../store/nodes/parents.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { isAtLeast } from '../topology/software.ts';

/** The first version that takes pushed packages, and sources outside the mesh. */
export const UPSTREAMS_SINCE = '0.2.0';

interface Known {
  readonly configured: readonly Pick<PackageSource, 'id'>[];
  readonly findNode: (id: string) => Pick<Node, 'role'> | undefined;
}

/** INVALID_FIELD unless the name is that of a package source, a mirror or the server. */
export function checkFeed(feed: string, { configured, findNode }: Known): void {
  if (feed === SERVER || configured.some(({ id }) => id === feed) || findNode(feed)?.role === 'mirror') return;
  // Perhaps a variable's value, which is not repeated.
  throw new IsthmusError('INVALID_FIELD', 'the step names a package source that does not exist', {
    field: 'feed',
    action: { code: 'CHOOSE_EXISTING', arguments: { kind: 'package source' } },
  });
}

/** WIRE_VERSION for a node that has reported a version without pushed packages. */
export function checkTakesPushed(node: Pick<Node, 'id' | 'softwareVersion'>): void {
  if (node.softwareVersion !== null && !isAtLeast(node, UPSTREAMS_SINCE)) throw tooOldForPush(node);
}

export function tooOldForPush(node: Pick<Node, 'id' | 'softwareVersion'>): IsthmusError {
  return tooOld(node, 'takes no pushed packages', 'Upgrade it, or let the step fetch.');
}

/** WIRE_VERSION for a node that cannot do what a step needs; `does` says what it does instead. */
export function tooOld(
  { id, softwareVersion }: Pick<Node, 'id' | 'softwareVersion'>,
  does: string,
  remedy: string,
): IsthmusError {
  const what = `${id} runs version ${softwareVersion ?? 'unknown'}, which ${does}`;
  return new IsthmusError('WIRE_VERSION', what, { hop: id, remedy });
}

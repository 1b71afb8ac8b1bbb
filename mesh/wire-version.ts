// Agrees on the wire version of two nodes: the highest that both speak. docs/protocol.md has the history.
import { IsthmusError } from '../contract/errors.ts';

/** The versions that a node speaks, both included. */
export interface WireVersions {
  readonly oldest: number;
  readonly newest: number;
}

export const WIRE_VERSIONS: WireVersions = { oldest: 1, newest: 1 };

/** The version to speak with `peer`; WIRE_VERSION with both ranges when there is none that both speak. */
export function agreeOnWireVersion(theirs: WireVersions, peer: string, own: WireVersions = WIRE_VERSIONS): number {
  const highest = Math.min(theirs.newest, own.newest);
  if (highest >= Math.max(theirs.oldest, own.oldest)) return highest;
  const detail = `${peer} speaks wire versions ${rangeOf(theirs)}, this node ${rangeOf(own)}`;
  throw new IsthmusError('WIRE_VERSION', detail);
}

function rangeOf({ oldest, newest }: WireVersions): string {
  return `${oldest} to ${newest}`;
}

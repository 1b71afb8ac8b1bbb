// Which version of the wire two nodes speak with each other: the highest that both do. docs/protocol.md has the
// history.
import { IsthmusError } from '../lib/errors.ts';

/** The versions that a node speaks, both included. */
export interface WireVersions {
  readonly oldest: number;
  readonly newest: number;
}

export const wireVersions: WireVersions = { oldest: 1, newest: 2 };

/** Links of this version and later carry certificates that were renewed since they came up. */
export const credentialsSince = 2;

/** Reads the versions off a message; a node of version 1 says one number, and speaks that one only. */
export function saidVersions(oldestWireVersion: number, newestWireVersion: number): WireVersions {
  return { oldest: oldestWireVersion, newest: Math.max(oldestWireVersion, newestWireVersion) };
}

/** The version to speak with `peer`; WIRE_VERSION with both ranges when there is none that both speak. */
export function agreeOnWireVersion(theirs: WireVersions, peer: string, own: WireVersions = wireVersions): number {
  const highest = Math.min(theirs.newest, own.newest);
  if (highest >= Math.max(theirs.oldest, own.oldest)) return highest;
  const detail = `${peer} speaks wire versions ${rangeOf(theirs)}, this node ${rangeOf(own)}`;
  throw new IsthmusError('WIRE_VERSION', detail);
}

function rangeOf({ oldest, newest }: WireVersions): string {
  return `${oldest} to ${newest}`;
}

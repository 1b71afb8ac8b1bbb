// Denied processes of a node as text.
import type { NodeClone } from '../../contract/nodes.ts';

/** Where it runs: its host, its address, and the relay that it came by. */
export function cloneText({ hostname, address, via }: NodeClone): string {
  return `${hostname} (${address ?? 'address unknown'} via ${via})`;
}

/** Where all of them run. */
export function clonesText(clones: readonly NodeClone[]): string {
  return `also at ${clones.map(cloneText).join(', ')}, denied`;
}

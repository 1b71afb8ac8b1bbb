// Denied processes of a node as text.
import type { NodeClone } from '../../contract/nodes.ts';
import { reactivates } from './remedy.ts';

/** Where it runs: its host, its address, and the relay that it came by. */
export function cloneText({ hostname, address, via }: NodeClone): string {
  return `${hostname} (${address ?? 'address unknown'} via ${via})`;
}

/** Where all of them run, and what lets the latest one in. */
export function clonesText(node: string, clones: readonly NodeClone[]): string {
  return `also at ${clones.map(cloneText).join(', ')}, denied. ${reactivates(node)}`;
}

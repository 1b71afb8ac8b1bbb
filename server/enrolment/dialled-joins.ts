// Pending joins of nodes that wait to be dialled (`join --listen`): for each of their valid tokens, the server opens a
// stream to the node every few seconds, through the first parent that reaches it, until the node has joined.
import { IsthmusError } from '../../contract/errors.ts';
import type { Parent } from '../../contract/nodes.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Mesh } from '../../mesh/types.ts';
import type { JoinToken } from '../store/nodes/tokens.ts';
import type { Enrolment } from './enrolment.ts';
import { pathsByParents } from '../topology/route-resolver.ts';
import type { Topology } from '../topology/topology.ts';

const OPEN_MS = 10_000;
/** Attempts at once: an operator joins a few machines at a time, and each attempt is a tunnel. */
const MAX_ATTEMPTS = 32;

interface DialledJoinDeps {
  readonly mesh: Pick<Mesh, 'dialEnrol'>;
  readonly enrolment: Pick<Enrolment, 'serveDialled'>;
  readonly topology: Topology;
  readonly log: Logger;
}

/**
 * The tokens whose nodes may still wait to be dialled: no active node has their name, and no other node is linked at
 * their address.
 */
export function stillAwaited(tokens: readonly JoinToken[], topology: Topology): JoinToken[] {
  if (tokens.length === 0) return [];
  const live = topology.links().filter(({ state, dialledBy }) => state === 'up' && dialledBy === 'parent');
  return tokens.filter(({ name, parents }) => {
    if (name === null || topology.nodes.get(name)?.state === 'active') return false;
    const isAddressTaken = ({ node, dialAddress }: Parent): boolean =>
      live.some(({ from, to, address }) => to !== name && from === node && address === dialAddress);
    return !parents.some(isAddressTaken);
  });
}

export class DialledJoins {
  readonly #deps: DialledJoinDeps;
  readonly #attempts = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(deps: DialledJoinDeps) {
    this.#deps = deps;
  }

  /** Starts an attempt for every token that has none under way. */
  attempt(tokens: readonly JoinToken[]): void {
    for (const token of tokens) {
      if (this.#attempts.has(token.id) || this.#attempts.size >= MAX_ATTEMPTS) continue;
      if (this.#stopping.signal.aborted) return;
      const attempt = this.#try(token).finally(() => this.#attempts.delete(token.id));
      this.#attempts.set(token.id, attempt);
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#attempts.values());
  }

  async #try(token: JoinToken): Promise<void> {
    const { name: node, parents } = token;
    if (node === null) return;
    for (const parent of parents) {
      if (parent.dialAddress === null) continue;
      if (await this.#tryThrough(node, { node: parent.node, dialAddress: parent.dialAddress })) return;
    }
  }

  /** Serves the node through one of its parents until the stream closes; returns whether the node was reached. */
  async #tryThrough(node: string, parent: { readonly node: string; readonly dialAddress: string }): Promise<boolean> {
    const { mesh, enrolment, topology, log } = this.#deps;
    const { signal } = this.#stopping;
    try {
      const [path] = pathsByParents({ node, parents: [parent] }, topology);
      if (path === undefined) throw new IsthmusError('UNREACHABLE', `no path leads to ${parent.node}`);
      const bare = await mesh.dialEnrol({ node, path: path.relays, deadlineMs: OPEN_MS, signal });
      const cut = (): void => {
        bare.destroy();
      };
      signal.addEventListener('abort', cut, { once: true });
      await enrolment.serveDialled(bare, parent.dialAddress);
      signal.removeEventListener('abort', cut);
      return true;
    } catch (thrown) {
      const { code, hop, message } = IsthmusError.from(thrown, 'UNREACHABLE');
      log.debug({ node, code, hop, err: message }, 'a node with a pending join cannot be reached yet');
      return false;
    }
  }
}

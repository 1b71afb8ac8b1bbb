// Checks that follow an event: a machine is checked soon after its first link, and once an outage above it has ended.
import type { EventType } from '../../contract/events.ts';
import type { Subscription } from '../events/subscriptions.ts';
import { withAllAbove } from '../topology/chains.ts';
import type { LiveTopology } from '../topology/live.ts';
import type { HealthMonitor } from './monitor.ts';

interface FollowDeps {
  readonly topology: Pick<LiveTopology, 'liveness' | 'nodes' | 'onChange'>;
  readonly monitor: Pick<HealthMonitor, 'checkSoon'>;
}

const FOLLOWED = ['link.restored', 'node.joined', 'node.restored'] as const satisfies readonly EventType[];

export class HealthFollower {
  readonly #topology: FollowDeps['topology'];
  readonly #monitor: FollowDeps['monitor'];
  /** Tentacles that have joined and not yet been linked. */
  readonly #joined = new Set<string>();

  /** What it asks to be checked is checked by `monitor`. */
  constructor({ topology, monitor }: FollowDeps) {
    this.#topology = topology;
    this.#monitor = monitor;
  }

  /** For the server's events. */
  readonly subscription: Subscription<(typeof FOLLOWED)[number]> = {
    types: FOLLOWED,
    from: 'now',
    act: async (events) => {
      const restored = new Set<string>();
      for (const { type, subject, data } of events) {
        if (type === 'node.joined') this.#joined.add(subject);
        else restored.add('to' in data ? data.to : subject);
      }
      this.#checkLinked([...this.#joined]);
      this.#monitor.checkSoon(restored.size === 0 ? [] : this.#below(restored));
    },
  };

  /** Watches for the first links of what has joined. Call the returned function to stop. */
  start(): () => void {
    return this.#topology.onChange(({ nodes }) => this.#checkLinked(nodes.filter((id) => this.#joined.has(id))));
  }

  #checkLinked(nodes: readonly string[]): void {
    for (const id of nodes) {
      const node = this.#topology.nodes.get(id);
      if (node?.role !== 'tentacle' || node.state !== 'active') this.#joined.delete(id);
      else if (this.#topology.liveness(node).live === 'online') {
        this.#joined.delete(id);
        this.#monitor.checkSoon([id]);
      }
    }
  }

  /** The machines at or below these nodes. */
  #below(nodes: ReadonlySet<string>): string[] {
    return [...this.#topology.nodes.values()]
      .filter(({ role, state }) => role === 'tentacle' && state === 'active')
      .map(({ id }) => id)
      .filter((id) => !withAllAbove(id, this.#topology.nodes).isDisjointFrom(nodes));
  }
}

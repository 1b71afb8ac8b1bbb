// The live topology: nodes, links and machines' routes in memory. It is read from the store once; from then on every
// commit delivers the rows that it changed, so the view is up to date before the committing code goes on. What must
// survive a restart is in the store.
import type { MachineRoute } from '../../contract/machines.ts';
import { CLOCKS, type Clocks } from '../../lib/async/clock-watch.ts';
import type { Mesh } from '../../mesh/types.ts';
import type { MeshChange } from '../store/changes.ts';
import type { Node } from '../store/nodes/nodes.ts';
import type { Store } from '../store/store.ts';
import { LinkTable, ownLinks } from './links.ts';
import type { Link, Liveness, Topology } from './topology.ts';

/** How often the round trips of this server's own links are read; a link that goes up or down is known at once. */
const OWN_LINKS_KEPT_MS = 1_000;

export interface TopologyChange {
  /** The nodes whose row or report has changed. */
  readonly nodes: readonly string[];
  /** Whether more than reports has changed: which nodes exist, who is whose parent, who is revoked. */
  readonly structural: boolean;
}

type Listener = (change: TopologyChange) => void;

/** Where this server's own links come from. */
type OwnMesh = Pick<Mesh, 'links' | 'onLinksChanged'>;

export class LiveTopology implements Topology {
  readonly #nodes = new Map<string, Node>();
  readonly #routes = new Map<string, readonly MachineRoute[]>();
  readonly #links: LinkTable;
  readonly #listeners = new Set<Listener>();
  readonly #clocks: Clocks;
  #structure = 0;
  #mesh: OwnMesh | undefined;
  #own: { readonly atMs: number; readonly links: ReadonlyMap<string, Link> } | undefined;

  /** Starts empty; `openLiveTopology` fills it from a store. */
  constructor(clocks: Clocks = CLOCKS) {
    this.#clocks = clocks;
    this.#links = new LinkTable(this.#nodes, () => this.#ownLinks(), clocks);
  }

  get nodes(): ReadonlyMap<string, Node> {
    return this.#nodes;
  }

  /** By machine. */
  get routes(): ReadonlyMap<string, readonly MachineRoute[]> {
    return this.#routes;
  }

  /** Changes with every structural change: results computed from the structure hold while it stays the same. */
  get structure(): number {
    return this.#structure;
  }

  link(from: string, to: string): Link | undefined {
    return this.#links.find(from, to);
  }

  links(): Link[] {
    return this.#links.all();
  }

  /** Whether a node is linked to the server now. */
  liveness(node: Node): Liveness {
    return this.#links.liveness(node);
  }

  /** Applies the rows that a commit has changed and notifies the subscribers. */
  apply({ nodes, routes }: MeshChange): void {
    let structural = false;
    for (const node of nodes) {
      structural = isStructural(this.#nodes.get(node.id), node) || structural;
      this.#nodes.set(node.id, node);
    }
    const isServerNew = structural && nodes.some(({ role }) => role === 'server');
    for (const node of isServerNew ? this.#nodes.values() : nodes) this.#links.take(node);
    for (const [machine, own] of routes) {
      if (own === undefined) this.#routes.delete(machine);
      else this.#routes.set(machine, own);
    }
    if (structural) this.#structure += 1;
    for (const listener of this.#listeners) listener({ nodes: nodes.map(({ id }) => id), structural });
  }

  /** Reads this server's own links from its mesh from now on. Call the returned function to stop. */
  followLinks(mesh: OwnMesh): () => void {
    this.#mesh = mesh;
    this.#own = undefined;
    return mesh.onLinksChanged(() => (this.#own = undefined));
  }

  /** Calls `listener` after every change. Call the returned function to stop. */
  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #ownLinks(): ReadonlyMap<string, Link> {
    const now = this.#clocks.monotonic();
    if (this.#own === undefined || now - this.#own.atMs >= OWN_LINKS_KEPT_MS) {
      this.#own = { atMs: now, links: ownLinks(this.#mesh?.links() ?? []) };
    }
    return this.#own.links;
  }
}

/** Reports do not raise a node's version, but a mirror reports its feed URL, which decides who fetches from it. */
function isStructural(before: Node | undefined, node: Node): boolean {
  return before?.version !== node.version || before.feedUrl !== node.feedUrl;
}

/** Reads the mesh from the store and follows its commits. */
export async function openLiveTopology(store: Store): Promise<LiveTopology> {
  const topology = new LiveTopology();
  // In one transaction, so that no commit falls between the read and the subscription.
  await store.transaction(async (tx) => {
    const [nodes, routes] = [await tx.nodes.all(), await tx.machines.routesOf()];
    topology.apply({ nodes, routes });
    store.onMeshChange((change) => topology.apply(change));
  });
  return topology;
}

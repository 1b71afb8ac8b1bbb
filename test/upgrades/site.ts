// A site whose nodes speak the wire of upgrades, below a server with the real task engine.
import { onTestFinished } from 'vitest';
import { IsthmusError } from '../../contract/errors.ts';
import type { NewNodeUpgrade } from '../../contract/node-upgrades.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { createUpgradeClients } from '../../server/upgrades/clients.ts';
import type { UpgradeTunables } from '../../server/upgrades/node-upgrade.ts';
import { submitUpgrade } from '../../server/upgrades/request.ts';
import { dialFakes, type FakeTentacle } from '../support/fake-tentacle.ts';
import { FakeUpgradeNode } from '../support/fake-upgrade-node.ts';
import { actor, startHarness, type Harness } from '../tasks/harness.ts';

export const VERSION = '0.2.0';
const BYTES = 100;
const digest = (architecture: string) => (architecture === 'x64' ? 'a' : 'b').repeat(64);
export const tarballName = (architecture: string, version = VERSION) =>
  `isthmus-${version}-linux-${architecture}.tar.gz`;

/** Limits under which nothing waits for long. */
const QUICK: Partial<UpgradeTunables> = {
  ...{ pollMs: 5, reachMs: 300, leaveOutMs: 150, unservedMs: 100, silentMs: 2_000, busyMs: 20_000 },
};

export interface Site extends Harness {
  readonly hosts: ReadonlyMap<string, FakeUpgradeNode>;
  host(id: string): FakeUpgradeNode;
  tentacle(id: string): FakeTentacle;
  /** Submits an upgrade of the site, or what is said; returns its task. */
  upgrade(request?: Partial<NewNodeUpgrade>): Promise<string>;
  /** The messages of a task. */
  messages(task: string): Promise<string[]>;
  /** State and error code of each node's ticket. */
  ends(task: string): Promise<Record<string, string>>;
  events(): Promise<string[]>;
}

/** A relay `eu`, a mirror `mirror-eu` and these tentacles, each on a host of its own. */
export async function startSite(tentacles: readonly string[], tunables: Partial<UpgradeTunables> = {}): Promise<Site> {
  const hosts = new Map<string, FakeUpgradeNode>();
  const fakes = new Map<string, FakeTentacle>();
  const dialHost = dialFakes(() => new Map([...hosts].map(([id, { port }]) => [id, port])));
  const dial: typeof dialHost = (options) => {
    if (hosts.get(options.node)?.isOld !== true) return dialHost(options);
    const { node: hop } = options;
    return Promise.reject(new IsthmusError('SERVICE_UNKNOWN', `${hop} does not serve upgrade`, { hop }));
  };
  const upgradeClients = createUpgradeClients(dial, { dialDeadlineMs: 2_000 });
  const roles = new Map<string, { role: NodeRole }>();
  const h = await startHarness(
    {},
    {
      upgrades: { upgradeClients, nodes: roles, upgradeTunables: { ...QUICK, ...tunables } },
      routesOf: () => Promise.resolve([{ kind: 'direct' }]),
    },
  );
  onTestFinished(() => upgradeClients.close());
  const add = async (id: string, role: NodeRole) => {
    roles.set(id, { role });
    const host = await new FakeUpgradeNode().listen();
    onTestFinished(() => host.stop());
    hosts.set(id, host);
  };
  for (const id of tentacles) {
    fakes.set(id, await h.machine(id));
    await add(id, 'tentacle');
  }
  await h.store.transaction(async (tx) => {
    const of = { site: 'eu', parents: [{ node: 'server', dialAddress: null }], createdAt: 1 };
    await tx.nodes.insert({ id: 'eu', role: 'relay', ...of });
    await tx.nodes.insert({ id: 'mirror-eu', role: 'mirror', ...of });
    await tx.nodes.insert({ id: 'server-1', role: 'server', ...of, site: null, parents: [] });
    for (const architecture of ['x64', 'arm64']) {
      const id = `isthmus-linux-${architecture}`;
      const named = { id, idKey: id, version: VERSION, versionKey: VERSION, format: 'tar.gz' as const };
      await tx.packages.insert({ ...named, sha256: digest(architecture), sizeBytes: BYTES, publishedAt: 1 });
    }
  });
  await add('eu', 'relay');
  await add('mirror-eu', 'mirror');
  return Object.assign(h, {
    hosts,
    host: (id: string) => hosts.get(id)!,
    tentacle: (id: string) => fakes.get(id)!,
    async upgrade(request: Partial<NewNodeUpgrade> = { site: 'eu' }) {
      const task = await h.store.transaction((tx) =>
        submitUpgrade(tx, { ...signed(), ...request }, { serverVersion: VERSION, actor }),
      );
      return task.id;
    },
    async messages(task: string) {
      const entries = await h.store.taskEvents.stream(task, 0, 1_000);
      return entries.filter(({ kind }) => kind === 'message').map(({ text }) => text);
    },
    async ends(task: string) {
      const tickets = await h.store.tickets.byTask(task);
      const end = ({ state, errorCode }: (typeof tickets)[number]) =>
        errorCode === null ? state : `${state} ${errorCode}`;
      return Object.fromEntries(tickets.map((ticket) => [ticket.target, end(ticket)]));
    },
    async events() {
      const { items } = await h.store.events.list({ limit: 100 });
      return items
        .filter(({ type }) => type.startsWith('node.upgrade'))
        .map(({ type, subject }) => `${type} ${subject}`);
    },
  });
}

/** A request's part about the tarballs, for one architecture. */
export function signed(architectures: readonly string[] = ['x64']) {
  const sums = ['x64', 'arm64'].map((each) => `${digest(each)}  ${tarballName(each)}\n`).join('');
  const tarballs = architectures.map((each) => tarballName(each));
  return { tarballs, sums, signature: Buffer.alloc(64).toString('base64') };
}

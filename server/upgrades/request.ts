// Accepts the upgrade of one node, or of the nodes of a site. What would fail at every node is denied here; what depends
// on a node's host, above all the signature, the node checks.
import { listedDigest, parseTarballName, type TarballName } from '../../certs/release-keys.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { softwarePackage, type NewNodeUpgrade } from '../../contract/node-upgrades.ts';
import { LONGEST_DEADLINE_S } from '../../contract/tasks.ts';
import { compareVersions, packageIdKey, versionKey } from '../../lib/package-versions.ts';
import { compareText } from '../../lib/text/compare.ts';
import type { Actor } from '../store/base.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { noSuch, revoked } from '../store/references.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { Lane, TaskKind } from '../tasks/kinds.ts';
import { DEFAULT_DEADLINE_S, submitTask } from '../tasks/submit.ts';
import { chainsUp } from '../topology/chains.ts';

/** A tarball of the feed. */
export interface SoftwareTarball {
  readonly name: string;
  readonly architecture: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

/** What an upgrade task stores. */
export interface UpgradePayload {
  readonly site: string;
  readonly version: string;
  readonly tarballs: readonly SoftwareTarball[];
  readonly sums: string;
  /** In base64. */
  readonly signature: string;
  /** The nodes, in the order in which they are upgraded. */
  readonly machines: readonly string[];
  /** Those of them that go one by one: relays, which carry others. */
  readonly relays: readonly string[];
  /** The first node, when it was named: it must succeed. */
  readonly canary: string | null;
  readonly atOnce: number;
  readonly unreachable: 'fail' | 'skip';
}

/** Upgrades wait for each other only; what they do is mostly to wait for nodes. */
const UPGRADE_LANE: Lane = { name: 'upgrade', concurrency: 32 };

/** A slow line takes minutes for a tarball. */
const DEADLINE_PER_NODE_S = 600;

const SIGNATURE_BYTES = 64;

/** The upgrades of a site run one after the other, so that no two of them meet on a node. */
export const upgradeTraits = {
  kind: 'upgrade',
  lane: UPGRADE_LANE,
  concurrencyKey: ({ site }) => `upgrade ${site}`,
} as const satisfies Pick<TaskKind<UpgradePayload>, 'kind' | 'lane' | 'concurrencyKey'>;

/**
 * Accepts an upgrade. UPGRADE_SERVER_FIRST when the version is higher than the server's, SOFTWARE_NOT_LISTED and
 * SOFTWARE_EXISTS when list and feed do not agree, NO_TARGETS for a site without active nodes, MACHINE_REVOKED for a
 * node that is revoked, INVALID_FIELD for everything else.
 */
export async function submitUpgrade(
  tx: StoreTransaction,
  request: NewNodeUpgrade,
  { serverVersion, actor }: { readonly serverVersion: string; readonly actor: Actor },
): Promise<Task> {
  const { sums, signature, canary, atOnce = 1, unreachable = 'fail' } = request;
  if (Buffer.from(signature, 'base64').length !== SIGNATURE_BYTES) {
    throw new IsthmusError('INVALID_FIELD', `a signature has ${SIGNATURE_BYTES} bytes, in base64`, {
      field: 'signature',
    });
  }
  const named = namedTarballs(request);
  const { version } = named[0]!;
  if (compareVersions(version, serverVersion) > 0) {
    throw new IsthmusError('UPGRADE_SERVER_FIRST', `${version} is higher than ${serverVersion}, which the server runs`);
  }
  const { nodes, leftOut, site } = await findNodes(tx, request);
  if (canary !== undefined && nodes.every(({ id }) => id !== canary)) {
    throw new IsthmusError('INVALID_FIELD', `${canary} is not among the nodes to upgrade`, { field: 'canary' });
  }
  const tarballs = await findTarballs(tx, request, named);
  const ordered = inOrder(nodes, await tx.nodes.all(), canary);
  const machines = ordered.map(({ id }) => id);
  const relays = ordered.filter(({ role }) => role === 'relay').map(({ id }) => id);
  const task = await submitTask(tx, upgradeTraits, {
    title: `upgrade of ${request.node ?? `${machines.length} nodes of ${site}`} to ${version}`,
    payload: {
      site,
      version,
      tarballs,
      sums,
      signature,
      machines,
      relays,
      canary: canary ?? null,
      atOnce,
      unreachable,
    },
    deadlineS: request.deadlineS ?? defaultDeadlineS(machines.length),
    actor,
    event: { version, machines },
    leftOut,
  });
  for (const { id, softwareVersion: before } of ordered) {
    const data = { task: task.id, version, before };
    await tx.events.append({ actor, type: 'node.upgrade-requested', subject: id, data });
  }
  return tx.tasks.get(task.id);
}

function defaultDeadlineS(nodes: number): number {
  return Math.min(LONGEST_DEADLINE_S, Math.max(DEFAULT_DEADLINE_S, nodes * DEADLINE_PER_NODE_S));
}

interface NamedTarball extends TarballName {
  readonly name: string;
}

/** Their names, of one version. */
function namedTarballs({ tarballs }: NewNodeUpgrade): readonly NamedTarball[] {
  return tarballs.map((name, index, [first = '']) => {
    const invalid = (why: string) => new IsthmusError('INVALID_FIELD', why, { field: `tarballs[${index}]` });
    const parsed = parseTarballName(name);
    if (parsed === undefined) throw invalid(`${name} is not the name of a tarball: isthmus-VERSION-linux-ARCH.tar.gz`);
    if (parsed.version === parseTarballName(first)?.version) return { name, ...parsed };
    throw invalid(`${name} has another version than ${first}`);
  });
}

/** The tarballs as the feed has them. */
async function findTarballs(
  tx: StoreTransaction,
  { sums }: NewNodeUpgrade,
  named: readonly NamedTarball[],
): Promise<readonly SoftwareTarball[]> {
  const found: SoftwareTarball[] = [];
  for (const [index, { name, version, architecture }] of named.entries()) {
    const field = `tarballs[${index}]`;
    const listed = listedDigest(sums, name);
    const id = softwarePackage(architecture);
    const entry = await tx.packages.find(packageIdKey(id), versionKey(version));
    if (entry === undefined) {
      throw new IsthmusError('INVALID_FIELD', `the feed has no version ${version} of ${id}`, {
        field,
        remedy: `Push ${name} first.`,
        action: { code: 'PUSH_PACKAGE', arguments: { package: id } },
      });
    }
    const { sha256, sizeBytes } = entry;
    if (sha256 !== listed) {
      throw new IsthmusError('SOFTWARE_EXISTS', `the feed has another build of ${name}`, { field });
    }
    found.push({ name, architecture, sha256, sizeBytes });
  }
  return found;
}

interface FoundNodes {
  readonly site: string;
  readonly nodes: readonly Node[];
  readonly leftOut: readonly { readonly machine: string; readonly reason: 'revoked' }[];
}

async function findNodes(tx: StoreTransaction, { node: id, site }: NewNodeUpgrade): Promise<FoundNodes> {
  if ((id === undefined) === (site === undefined)) {
    throw new IsthmusError('INVALID_FIELD', 'name one node, or a site', { field: 'node' });
  }
  if (id !== undefined) {
    const node = await namedNode(tx, id);
    return { site: node.site ?? '', nodes: [node], leftOut: [] };
  }
  if ((await tx.sites.find(site!)) === undefined) throw noSuch('site', site!, 'site');
  const { active = [], revoked: gone = [] } = Object.groupBy(await tx.nodes.all({ site: site! }), ({ state }) => state);
  if (active.length === 0) throw new IsthmusError('NO_TARGETS', `${site} has no active node`, { field: 'site' });
  return { site: site!, nodes: active, leftOut: gone.map(({ id: machine }) => ({ machine, reason: 'revoked' })) };
}

async function namedNode(tx: StoreTransaction, id: string): Promise<Node> {
  const node = await tx.nodes.find(id);
  if (node === undefined) {
    throw new IsthmusError('INVALID_FIELD', `there is no node ${id}`, {
      field: 'node',
      action: { code: 'CHOOSE_EXISTING', arguments: { kind: 'node' } },
    });
  }
  if (node.state === 'revoked') throw revoked(node, { field: 'node' });
  if (node.role !== 'server') return node;
  throw new IsthmusError('INVALID_FIELD', `${id} is a server, and a server is upgraded on its host`, {
    field: 'node',
    remedy: 'Run the install.sh of the tarball on the host of the server.',
  });
}

const RANKS = { tentacle: 0, mirror: 1, relay: 2, server: 3 } as const;

/**
 * The canary, then tentacles, mirrors and relays: the more depends on a node, the later it takes the version. A relay
 * comes after those below it.
 */
function inOrder(nodes: readonly Node[], all: readonly Node[], canary: string | undefined): readonly Node[] {
  const byId = new Map(all.map((node) => [node.id, node]));
  const depth = ({ parents }: Node) => Math.max(0, ...chainsUp(parents, byId).map((chain) => chain.length));
  const isCanary = ({ id }: Node) => Number(id === canary);
  return nodes.toSorted(
    (a, b) =>
      isCanary(b) - isCanary(a) ||
      RANKS[a.role] - RANKS[b.role] ||
      (a.role === 'relay' ? depth(b) - depth(a) : 0) ||
      compareText(a.id, b.id),
  );
}

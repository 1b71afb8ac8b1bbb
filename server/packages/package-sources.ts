// Creates and deletes package sources, each with its event.
import type { NewPackageSource } from '../../contract/package-sources.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { isCidr } from '../../lib/net/network-address.ts';
import { checkUrlTemplate } from '../../lib/net/upstream-url.ts';
import type { Actor } from '../store/base.ts';
import type { NamedBy, PackageSource } from '../store/packages/package-sources.ts';
import { SERVER } from '../store/nodes/parents.ts';
import { checkUnused, noSuch, type Reference } from '../store/references.ts';
import type { StoreTransaction } from '../store/store.ts';

/** ALREADY_EXISTS when the id is taken, also by a node; INVALID_FIELD for what it names and does not exist. */
export async function createPackageSource(
  tx: StoreTransaction,
  input: NewPackageSource,
  actor: Actor,
): Promise<PackageSource> {
  const { id, machines = [], sites = [], networks = [] } = input;
  if (id === SERVER || (await tx.nodes.find(id)) !== undefined) {
    throw new IsthmusError('ALREADY_EXISTS', `${id} is a node; its packages need no other name`, { field: 'id' });
  }
  for (const [index, machine] of machines.entries()) {
    if ((await tx.machines.find(machine)) === undefined) throw noSuch('machine', machine, `machines[${index}]`);
  }
  for (const [index, site] of sites.entries()) {
    if ((await tx.sites.find(site)) === undefined) throw noSuch('site', site, `sites[${index}]`);
  }
  for (const [index, network] of networks.entries()) {
    if (isCidr(network)) continue;
    throw new IsthmusError('INVALID_FIELD', 'a network is written like 10.1.0.0/16', { field: `networks[${index}]` });
  }
  if (input.kind === 'upstream') checkUrlTemplate(input.url);
  else await checkNode(tx, input.node);
  const source = { ...input, machines, sites, networks, version: 1, createdAt: Date.now() };
  await tx.packageSources.insert(source);
  const from = source.kind === 'upstream' ? { url: source.url } : { node: source.node };
  await tx.events.append({
    actor,
    type: 'package-source.created',
    subject: id,
    data: { kind: source.kind, ...from, machines, sites, networks },
  });
  return source;
}

/**
 * Deletes a package source at the version that was read. IN_USE while steps of a project or release name it. Where a
 * variable names it, deployments are rejected from then on.
 */
export async function deletePackageSource(
  tx: StoreTransaction,
  { id, version }: { readonly id: string; readonly version: number },
  actor: Actor,
): Promise<void> {
  checkUnused(`package source ${id}`, (await tx.packageSources.namedBy(id)).map(referenceOf));
  await tx.packageSources.delete(id, version);
  await tx.events.append({ actor, type: 'package-source.deleted', subject: id, data: {} });
}

function referenceOf({ project, release }: NamedBy): Reference {
  return release === null
    ? {
        text: `the process of ${project}`,
        remedy: 'Let its steps name another source first.',
        action: { code: 'SET_PROCESS', arguments: { project } },
      }
    : {
        text: `release ${release} of ${project}`,
        remedy: 'Delete the releases that name it first.',
        action: { code: 'DELETE_RELEASE', arguments: { project, version: release } },
      };
}

async function checkNode(tx: StoreTransaction, id: string): Promise<void> {
  if (id === SERVER) return;
  const node = await tx.nodes.find(id);
  if (node?.role === 'mirror') return;
  throw new IsthmusError('INVALID_FIELD', `${id} is neither a mirror nor server`, { field: 'node' });
}

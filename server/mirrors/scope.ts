// Which sites get which packages of a release: those of the steps that machines of the site take.
import { compareText } from '../../lib/text/compare.ts';
import type { PinnedPackage } from '../store/projects/process.ts';
import type { Release } from '../store/projects/releases.ts';
import type { StoreTransaction } from '../store/store.ts';
import { machinesOf } from '../deployments/index.ts';

/** A package of a release, once however many steps install it. */
export type ScopedPackage = Pick<PinnedPackage, 'id' | 'version' | 'sha256' | 'sizeBytes'>;

/** What a site needs of a release. */
export interface SiteScope {
  readonly site: string;
  /** The machines that take one of its package steps. */
  readonly machines: readonly string[];
  readonly packages: readonly ScopedPackage[];
}

interface ScopeFilter {
  readonly environments?: readonly string[] | undefined;
  readonly sites?: readonly string[] | undefined;
}

/** The sites with machines that a release is for, by id: of all environments and sites, or only of these. */
export async function scopeOf(
  tx: Pick<StoreTransaction, 'machines'>,
  { process, packages }: Pick<Release, 'packages' | 'process'>,
  { environments, sites }: ScopeFilter,
): Promise<SiteScope[]> {
  const all = await tx.machines.select({ environments, acceptsWork: true });
  const assigned = all.filter((machine) => machine.environments.length > 0);
  const bySite = Map.groupBy(assigned, ({ site }) => site);
  return [...bySite]
    .filter(([site]) => sites === undefined || sites.includes(site))
    .map(([site, machines]) => {
      const taken = packages.map((pinned) => {
        const step = process.find(({ name }) => name === pinned.step);
        return { pinned, taking: step === undefined ? [] : machinesOf(step, { machines }) };
      });
      const needed = taken.filter(({ taking }) => taking.length > 0);
      return {
        site,
        machines: [...new Set(needed.flatMap(({ taking }) => taking))].toSorted(compareText),
        packages: [...new Map(needed.map(({ pinned }) => [pinned.sha256, scoped(pinned)])).values()],
      };
    })
    .filter(({ packages: needed }) => needed.length > 0)
    .toSorted((a, b) => compareText(a.site, b.site));
}

function scoped({ id, version, sha256, sizeBytes }: PinnedPackage): ScopedPackage {
  return { id, version, sha256, sizeBytes };
}

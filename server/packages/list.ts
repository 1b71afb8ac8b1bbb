// The list of packages: of each the version that a release takes unless it names one, and what uses it.
import { latestVersion } from '../../lib/package-versions.ts';
import type { Page, PageRequest } from '../store/base.ts';
import type { Package, PackageUse } from '../store/packages/packages.ts';
import type { Store } from '../store/store.ts';

export interface PackageSummary extends Package {
  /** How many. */
  readonly versions: number;
  /** Of all versions; the same bytes count once. */
  readonly totalBytes: number;
  readonly usedBy: readonly Pick<PackageUse, 'project' | 'releases'>[];
}

/** A page of packages, by id. */
export async function listPackages(store: Pick<Store, 'packages'>, page: PageRequest): Promise<Page<PackageSummary>> {
  const packages = await store.packages.list(page);
  const uses = await store.packages.usesOf(packages.items.map(([first]) => first!.idKey));
  const byId = Map.groupBy(uses, ({ idKey }) => idKey);
  return { ...packages, items: packages.items.map((versions) => summary(versions, byId)) };
}

function summary(versions: readonly Package[], uses: ReadonlyMap<string, readonly PackageUse[]>): PackageSummary {
  const latest = latestVersion(versions)!;
  const sizes = new Map(versions.map(({ sha256, sizeBytes }) => [sha256, sizeBytes]));
  return {
    ...latest,
    versions: versions.length,
    totalBytes: sizes.values().reduce((total, bytes) => total + bytes, 0),
    usedBy: (uses.get(latest.idKey) ?? []).map(({ project, releases }) => ({ project, releases })),
  };
}

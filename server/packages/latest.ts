// The list of packages: of each the version that a release takes unless it names one.
import { latestVersion } from '../../lib/package-versions.ts';
import type { Page, PageRequest } from '../store/base.ts';
import type { Package } from '../store/packages/packages.ts';
import type { Store } from '../store/store.ts';

/** A page of packages, by id. */
export async function listLatest(store: Pick<Store, 'packages'>, page: PageRequest): Promise<Page<Package>> {
  const packages = await store.packages.list(page);
  return { ...packages, items: packages.items.map((versions) => latestVersion(versions)!) };
}

// Filters of lists: an empty page for a misspelt name would look like an answer.
import { IsthmusError, type ListedKind } from '../../contract/errors.ts';
import type { Store } from '../store/store.ts';

interface Filters {
  readonly environment?: string | undefined;
  readonly project?: string | undefined;
  readonly site?: string | undefined;
  readonly targetRole?: string | undefined;
}

/** The page; INVALID_FIELD when it is empty because a filter names what is not there. */
export async function checkedPage<Page extends { readonly items: readonly unknown[] }>(
  store: Pick<Store, 'environments' | 'machines' | 'projects' | 'sites'>,
  page: Page,
  { environment, project, site, targetRole }: Filters,
): Promise<Page> {
  if (page.items.length > 0) return page;
  if (environment !== undefined && (await store.environments.find(environment)) === undefined)
    throw noneNamed('environment', environment);
  if (project !== undefined && (await store.projects.find(project)) === undefined) throw noneNamed('project', project);
  if (site !== undefined && (await store.sites.find(site)) === undefined) throw noneNamed('site', site);
  if (targetRole === undefined || (await store.machines.select({ targetRoles: [targetRole] })).length > 0) return page;
  throw wrongFilter('targetRole', `no machine has the role ${targetRole}`, 'machine');
}

function noneNamed(kind: 'environment' | 'project' | 'site', id: string): IsthmusError {
  return wrongFilter(kind, `there is no ${kind} ${id}`, kind);
}

function wrongFilter(field: string, message: string, kind: ListedKind): IsthmusError {
  return new IsthmusError('INVALID_FIELD', message, {
    field,
    action: { code: 'CHOOSE_EXISTING', arguments: { kind } },
  });
}

// Accepts a warming: the packages of a release, and the mirrors of the sites that have machines for them.
import { IsthmusError } from '../../contract/errors.ts';
import type { NewWarming } from '../../contract/mirrors.ts';
import { versionKey } from '../../lib/package-versions.ts';
import type { Actor } from '../store/base.ts';
import type { Release } from '../store/projects/releases.ts';
import { noSuch } from '../store/references.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { Lane, TaskKind } from '../tasks/kinds.ts';
import { submitTask } from '../tasks/submit.ts';
import { nameSome } from '../tasks/targets.ts';
import type { Mirrors } from './mirrors.ts';
import { scopeOf, type ScopedPackage, type SiteScope } from './scope.ts';
import type { WarmWindow } from './window.ts';

/** What a warming stores. */
export interface WarmPayload {
  readonly project: string;
  /** The release's version. */
  readonly version: string;
  /** The mirrors. */
  readonly machines: readonly string[];
  readonly packages: readonly (ScopedPackage & { readonly mirrors: readonly string[] })[];
  /** Null for no limit. */
  readonly maxBytesPerS: number | null;
  /** When it may fetch; always where it is absent. */
  readonly window?: WarmWindow;
}

/** A lane of their own: work never waits for a warming. */
const WARM_LANE: Lane = { name: 'warm', concurrency: 8 };
/** A night, and the next one: a line may be slow, and a mirror away for a while. */
const DEFAULT_DEADLINE_S = 2 * 86_400;

export const warmTraits = { kind: 'warm', lane: WARM_LANE } as const satisfies Pick<
  TaskKind<WarmPayload>,
  'kind' | 'lane'
>;

/** Accepts a warming as its project wants it; nothing where no site in scope has a mirror. */
export async function submitAutomatically(
  tx: StoreTransaction,
  mirrors: Pick<Mirrors, 'all'>,
  { release, environments }: { readonly release: Release; readonly environments: readonly string[] | undefined },
): Promise<void> {
  const { warm } = await tx.projects.get(release.project);
  const { maxBytesPerS, window } = warm;
  const scope = await scopeOf(tx, release, { environments });
  const payload = payloadOf(release, scope, mirrors, maxBytesPerS);
  if (payload.machines.length === 0) return;
  await submit(tx, window === undefined ? payload : { ...payload, window }, undefined, 'system');
}

/** Accepts a warming that was asked for. NO_TARGETS when no site in scope has a mirror; INVALID_FIELD. */
export async function submitWarming(
  tx: StoreTransaction,
  mirrors: Pick<Mirrors, 'all'>,
  { project, release: wanted, environments, sites, maxBytesPerS, deadlineS }: NewWarming,
  actor: Actor,
): Promise<Task> {
  if ((await tx.projects.find(project)) === undefined) throw noSuch('project', project, 'project');
  for (const [index, id] of (environments ?? []).entries()) {
    if ((await tx.environments.find(id)) === undefined) throw noSuch('environment', id, `environments[${index}]`);
  }
  for (const [index, id] of (sites ?? []).entries()) {
    if ((await tx.sites.find(id)) === undefined) throw noSuch('site', id, `sites[${index}]`);
  }
  const release = await tx.releases.findVersion(project, versionKey(wanted, 'release'));
  if (release === undefined) {
    throw new IsthmusError('INVALID_FIELD', `project ${project} has no release ${wanted}`, {
      field: 'release',
      action: { code: 'CHOOSE_OR_CREATE_RELEASE', arguments: { project, version: wanted } },
    });
  }
  const scope = await scopeOf(tx, release, { environments, sites });
  const payload = payloadOf(release, scope, mirrors, maxBytesPerS);
  if (payload.machines.length === 0) {
    const where =
      scope.length === 0
        ? 'no machine takes a package of it'
        : `no mirror at ${nameSome(scope.map(({ site }) => site))}`;
    throw new IsthmusError('NO_TARGETS', `nothing to warm for ${project} ${release.version}: ${where}`, {
      remedy: 'Join a mirror at a site with machines that the release is for.',
    });
  }
  return submit(tx, payload, deadlineS, actor);
}

function submit(
  tx: StoreTransaction,
  payload: WarmPayload,
  deadlineS: number = DEFAULT_DEADLINE_S,
  actor: Actor,
): Promise<Task> {
  const { project, version, machines } = payload;
  const title = `warming of ${project} ${version} at ${nameSome(machines)}`;
  const event = { project, release: version, machines };
  return submitTask(tx, warmTraits, { title, payload, project, deadlineS, actor, event });
}

function payloadOf(
  { project, version }: Release,
  scope: readonly SiteScope[],
  mirrors: Pick<Mirrors, 'all'>,
  maxBytesPerS: number | undefined,
): WarmPayload {
  const mirrorsOf = Map.groupBy(mirrors.all(), ({ site }) => site ?? '');
  const packages = new Map<string, ScopedPackage & { readonly mirrors: string[] }>();
  for (const { site, packages: needed } of scope) {
    for (const each of needed) {
      const known = packages.get(each.sha256) ?? { ...each, mirrors: [] };
      known.mirrors.push(...(mirrorsOf.get(site) ?? []).map(({ id }) => id));
      packages.set(each.sha256, known);
    }
  }
  const machines = [...new Set([...packages.values()].flatMap((each) => each.mirrors))];
  return { project, version, machines, packages: [...packages.values()], maxBytesPerS: maxBytesPerS ?? null };
}

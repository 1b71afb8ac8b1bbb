// Creates releases: a project's present process and variables, with each package pinned by digest and size. Immutable.
// One that nothing has installed can be deleted.
import type { Deletion, UnusedVersion } from '../../contract/deletions.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { newId } from '../../lib/ids.ts';
import { latestVersion, packageIdKey, versionKey } from '../../lib/package-versions.ts';
import type { PinnedPackage, ProcessStep } from '../store/projects/process.ts';
import type { Actor } from '../store/base.ts';
import type { Package } from '../store/packages/packages.ts';
import type { Release } from '../store/projects/releases.ts';
import { checkUnused, type DeleteOptions, type Reference } from '../store/references.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { StepKinds } from './step-kinds.ts';

export interface NewRelease {
  readonly version: string;
  readonly notes?: string | undefined;
  /** Package versions by step name; the latest for a step without an entry. */
  readonly packages?: Readonly<Record<string, string>> | undefined;
}

/** Creates a release of a project in its present state. */
export async function createRelease(
  tx: StoreTransaction,
  kinds: StepKinds,
  projectId: string,
  { version, notes = '', packages: requested = {} }: NewRelease,
  actor: Actor,
): Promise<Release> {
  const { process } = await tx.projects.get(projectId);
  const key = versionKey(version);
  if (process.length === 0) {
    throw new IsthmusError('INVALID_FIELD', `project ${projectId} has no steps to release`, {
      field: 'project',
      remedy: 'Give it some steps first.',
      action: { code: 'SET_PROCESS', arguments: { project: projectId } },
    });
  }
  const existing = await tx.releases.findVersion(projectId, key);
  if (existing !== undefined) {
    const what = `project ${projectId} has a release ${existing.version} already`;
    throw new IsthmusError('RELEASE_EXISTS', what, {
      field: 'version',
      action: { code: 'SHOW_RELEASE', arguments: { project: projectId, version: existing.version } },
    });
  }
  const packages = await pinPackages(tx, packageSteps(process, kinds), requested);
  for (const step of process) {
    const pinned = packages.find((each) => each.step === step.name);
    if (pinned !== undefined) kinds.find(step.kind)?.checkPackage?.(step, pinned);
  }
  const variables = await tx.variables.all(projectId);
  const release = {
    id: newId(),
    project: projectId,
    version,
    versionKey: key,
    notes,
    process,
    packages,
    variables,
    createdAt: Date.now(),
  };
  await tx.releases.insert(release);
  const data = {
    project: projectId,
    version,
    packages: packages.map(({ step, id, version: v, sha256 }) => ({ step, id, version: v, sha256 })),
  };
  await tx.events.append({ actor, type: 'release.created', subject: release.id, data });
  return release;
}

/**
 * Deletes a release. IN_USE while a task deploys it, or it is the current or previous one of a machine. Its packages
 * stay; those that no other release uses can then be deleted.
 */
export async function deleteRelease(
  tx: StoreTransaction,
  id: string,
  { actor, dryRun = false }: DeleteOptions,
): Promise<Deletion> {
  const { project, version, packages } = await tx.releases.get(id);
  const tasks = await tx.deployments.openTasks(id);
  const holders = await tx.installed.holdersOf(id);
  checkUnused(`release ${version} of ${project}`, [
    ...tasks.map((task): Reference => ({
      text: `task ${task}`,
      remedy: 'Wait until the task has ended, or cancel it.',
      action: { code: 'CANCEL_TASK', arguments: { task } },
    })),
    ...holders.map(({ machine, environment, current }): Reference => ({
      text: `machine ${machine} (${current ? 'current' : 'previous'} in ${environment})`,
      remedy: 'Deploy other releases there, or take the machine out of the environment.',
      action: { code: 'DEPLOY_OTHER', arguments: { project, environment } },
    })),
  ]);
  const unused = await pinnedOnlyBy(tx, id, packages);
  if (!dryRun) {
    await tx.releases.delete(id);
    await tx.events.append({ actor, type: 'release.deleted', subject: id, data: { project, version } });
  }
  return { dryRun, deleted: [{ kind: 'release', name: `${version} of ${project}` }], freedBytes: 0, unused };
}

/** Those of the versions that a release pins that no other one does. */
async function pinnedOnlyBy(
  tx: StoreTransaction,
  release: string,
  packages: readonly PinnedPackage[],
): Promise<UnusedVersion[]> {
  const unused = new Map<string, UnusedVersion>();
  for (const { id, version, sizeBytes } of packages) {
    const users = await tx.packages.releasesOf({ idKey: packageIdKey(id), versionKey: versionKey(version) });
    if (users.every((user) => user.id === release)) unused.set(`${id} ${version}`, { id, version, sizeBytes });
  }
  return [...unused.values()];
}

/** The package of each step that installs one, by the step's name. */
function packageSteps(process: readonly ProcessStep[], kinds: StepKinds): ReadonlyMap<string, string> {
  return new Map(
    process.flatMap((step) => {
      const id = kinds.find(step.kind)?.packageId?.(step);
      return id === undefined ? [] : [[step.name, id] as const];
    }),
  );
}

async function pinPackages(
  tx: StoreTransaction,
  steps: ReadonlyMap<string, string>,
  requested: Readonly<Record<string, string>>,
): Promise<PinnedPackage[]> {
  const unknown = Object.keys(requested).find((name) => !steps.has(name));
  if (unknown !== undefined) {
    throw new IsthmusError('INVALID_FIELD', `no package step is named ${unknown}`, { field: `packages.${unknown}` });
  }
  const pinned: PinnedPackage[] = [];
  for (const [step, packageId] of steps) {
    const version = Object.hasOwn(requested, step) ? requested[step] : undefined;
    const { idKey: _id, versionKey: _version, publishedAt: _at, ...pin } = await pick(tx, step, packageId, version);
    pinned.push({ step, ...pin });
  }
  return pinned;
}

async function pick(tx: StoreTransaction, step: string, id: string, version: string | undefined): Promise<Package> {
  const key = packageIdKey(id);
  const field = `packages.${step}`;
  if (version === undefined) {
    const latest = latestVersion(await tx.packages.versions(key));
    if (latest !== undefined) return latest;
    throw new IsthmusError('INVALID_FIELD', `package ${id} has no version yet`, {
      field,
      remedy: 'Push one first.',
      action: { code: 'PUSH_PACKAGE', arguments: { package: id } },
    });
  }
  const found = await tx.packages.find(key, versionKey(version, field));
  if (found !== undefined) return found;
  throw new IsthmusError('INVALID_FIELD', `package ${id} has no version ${version}`, {
    field,
    remedy: 'Choose a version that it has.',
    action: { code: 'CHOOSE_PACKAGE_VERSION', arguments: { package: id } },
  });
}

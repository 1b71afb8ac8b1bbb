// Creates, changes and deletes projects and their processes, each with its event.
import type { Deletion } from '../../contract/deletions.ts';
import type { WarmSetting } from '../../contract/warm-setting.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { isSlug } from '../../lib/ids.ts';
import type { ProcessStep } from '../store/projects/process.ts';
import type { Actor } from '../store/base.ts';
import type { Project } from '../store/projects/projects.ts';
import { checkUnused, noSuch, type DeleteOptions } from '../store/references.ts';
import type { StoreTransaction } from '../store/store.ts';
import { checkProcess } from './process.ts';
import type { StepKinds } from './step-kinds.ts';
import { deleteVariable } from './variables.ts';

/** Of a project that has some. */
const RELEASES_NAMED = 100;

export interface NewProject {
  readonly id: string;
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  /** Its process, unchecked; empty by default. */
  readonly steps?: unknown;
}

interface ProjectPatch {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly warm?: WarmSetting | undefined;
}

export interface ProjectRef {
  readonly id: string;
  readonly version: number;
}

/** Adds a project with its process. */
export async function createProject(
  tx: StoreTransaction,
  kinds: StepKinds,
  input: NewProject,
  actor: Actor,
): Promise<Project> {
  const { id, name = id, description = '', steps = [] } = input;
  if (!isSlug(id)) {
    throw new IsthmusError('INVALID_FIELD', 'use lower-case letters, digits and hyphens, at most 63', { field: 'id' });
  }
  const process = checkProcess(steps, kinds);
  const project = await tx.projects.insert({ id, name, description, process, createdAt: Date.now() });
  await tx.events.append({
    actor,
    type: 'project.created',
    subject: id,
    data: { name, steps: outline(process) },
  });
  return project;
}

/** Renames or describes a project, or says when its releases are warmed. */
export async function updateProject(
  tx: StoreTransaction,
  { id, version }: ProjectRef,
  { warm, ...named }: ProjectPatch,
  actor: Actor,
): Promise<Project> {
  for (const [index, environment] of (warm?.environments ?? []).entries()) {
    if ((await tx.environments.find(environment)) === undefined) {
      throw noSuch('environment', environment, `warm.environments[${index}]`);
    }
  }
  const project = await tx.projects.update(id, version, { ...named, warm });
  await tx.events.append({ actor, type: 'project.updated', subject: id, data: { ...named, warm } });
  return project;
}

/** Replaces the whole process; releases keep the one they were created with. */
export async function replaceProcess(
  tx: StoreTransaction,
  kinds: StepKinds,
  { id, version }: ProjectRef,
  steps: unknown,
  actor: Actor,
): Promise<Project> {
  const process = checkProcess(steps, kinds);
  const project = await tx.projects.update(id, version, { process });
  const data = { steps: outline(process) };
  await tx.events.append({ actor, type: 'project.process-replaced', subject: id, data });
  return project;
}

/** A process as its event records it. */
function outline(process: readonly ProcessStep[]) {
  return process.map(({ name, kind }) => ({ name, kind }));
}

/** Deletes a project with its variables. IN_USE while it has releases. */
export async function deleteProject(
  tx: StoreTransaction,
  { id, version }: ProjectRef,
  { actor, dryRun = false }: DeleteOptions,
): Promise<Deletion> {
  const { items: releases } = await tx.releases.list(id, { limit: RELEASES_NAMED });
  checkUnused(
    `project ${id}`,
    releases.map(({ version: release }) => ({
      text: `release ${release}`,
      remedy: 'Delete its releases first.',
      action: { code: 'DELETE_RELEASE', arguments: { project: id, version: release } },
    })),
  );
  const variables = await tx.variables.all(id);
  if (!dryRun) {
    for (const variable of variables) await deleteVariable(tx, variable, actor);
    await tx.projects.delete(id, version);
    await tx.events.append({ actor, type: 'project.deleted', subject: id, data: {} });
  }
  const names = variables.map(({ name }) => ({ kind: 'variable', name }) as const);
  return { dryRun, deleted: [{ kind: 'project', name: id }, ...names], freedBytes: 0, unused: [] };
}

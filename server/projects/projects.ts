// Creates, changes and deletes projects and their processes, each with its event.
import { IsthmusError } from '../../contract/errors.ts';
import { isSlug } from '../../lib/ids.ts';
import type { ProcessStep } from '../store/projects/process.ts';
import type { Actor } from '../store/base.ts';
import type { Project } from '../store/projects/projects.ts';
import type { StoreTransaction } from '../store/store.ts';
import { checkProcess } from './process.ts';
import type { StepKinds } from './step-kinds.ts';

export interface NewProject {
  readonly id: string;
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  /** Its process, unchecked; empty by default. */
  readonly steps?: unknown;
}

export interface ProjectRef {
  readonly id: string;
  readonly version: number;
}

/** The folder below a tentacle's applications folder that holds a package step's releases. */
export function applicationName(project: string, step: string): string {
  return `${project}-${step}`;
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
  await checkApplications(tx, kinds, { id, process });
  const project = await tx.projects.insert({ id, name, description, process, createdAt: Date.now() });
  await tx.events.append({
    actor,
    type: 'project.created',
    subject: id,
    data: { name, steps: outline(process) },
  });
  return project;
}

/** Renames or describes a project. */
export async function updateProject(
  tx: StoreTransaction,
  { id, version }: ProjectRef,
  patch: { readonly name?: string | undefined; readonly description?: string | undefined },
  actor: Actor,
): Promise<Project> {
  const project = await tx.projects.update(id, version, { name: patch.name, description: patch.description });
  await tx.events.append({ actor, type: 'project.updated', subject: id, data: { ...patch } });
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
  await checkApplications(tx, kinds, { id, process });
  const project = await tx.projects.update(id, version, { process });
  const data = { steps: outline(process) };
  await tx.events.append({ actor, type: 'project.process-replaced', subject: id, data });
  return project;
}

/** A process as its event records it. */
function outline(process: readonly ProcessStep[]) {
  return process.map(({ name, kind }) => ({ name, kind }));
}

/** IN_USE while it has releases or variables. */
export async function deleteProject(tx: StoreTransaction, { id, version }: ProjectRef, actor: Actor): Promise<void> {
  await tx.projects.delete(id, version);
  await tx.events.append({ actor, type: 'project.deleted', subject: id, data: {} });
}

/** Two steps of different projects must not share a folder on a machine: `a-b` + `c` is `a` + `b-c`. */
async function checkApplications(
  tx: StoreTransaction,
  kinds: StepKinds,
  { id, process }: Pick<Project, 'id' | 'process'>,
): Promise<void> {
  const taken = await applicationsOfOthers(tx, kinds, id);
  for (const [index, step] of process.entries()) {
    if (!installsPackage(step, kinds)) continue;
    const field = `steps[${index}].name`;
    const application = applicationName(id, step.name);
    if (!isSlug(application)) {
      throw new IsthmusError('INVALID_FIELD', `${application} is longer than 63 characters`, { field });
    }
    const owner = taken.get(application);
    if (owner === undefined) continue;
    throw new IsthmusError('INVALID_FIELD', `project ${owner} installs to ${application} already`, { field });
  }
}

async function applicationsOfOthers(tx: StoreTransaction, kinds: StepKinds, id: string): Promise<Map<string, string>> {
  const taken = new Map<string, string>();
  for (let cursor: string | undefined; ;) {
    const page = await tx.projects.list({ limit: 500, cursor });
    for (const project of page.items) {
      if (project.id === id) continue;
      for (const step of project.process) {
        if (installsPackage(step, kinds)) taken.set(applicationName(project.id, step.name), project.id);
      }
    }
    cursor = page.next;
    if (cursor === undefined) return taken;
  }
}

function installsPackage({ kind }: ProcessStep, kinds: StepKinds): boolean {
  return kinds.find(kind)?.packageId !== undefined;
}

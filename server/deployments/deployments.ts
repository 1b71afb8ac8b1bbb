// Accepts a deployment: a release, an environment, and the machines that match now.
import { IsthmusError, type RemedyAction } from '../../contract/errors.ts';
import { newId } from '../../lib/ids.ts';
import { versionKey } from '../../lib/package-versions.ts';
import { noSuch } from '../store/references.ts';
import type { Actor } from '../store/base.ts';
import type { Machine } from '../store/inventory/machines.ts';
import type { ProcessStep } from '../store/projects/process.ts';
import type { Release } from '../store/projects/releases.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { StoreTransaction } from '../store/store.ts';
import { checkInterpreter } from '../tasks/interpreters.ts';
import { submitTask } from '../tasks/submit.ts';
import { leftOutText, noTargets, resolveTargets, selectTargets, type Targets } from '../tasks/targets.ts';
import type { PlannedStep } from '../tasks/planned-steps.ts';
import { checkFeed } from '../packages/index.ts';
import { resolveAt, type Opener, type ResolvedVariables } from '../projects/index.ts';
import { deploymentTraits, planSteps, type DeploymentPayload } from './plan.ts';
import {
  machinesOf,
  type CheckContext,
  type PlanContext,
  type PlannedMachine,
  type StepHandlerRegistry,
} from './steps/handler.ts';

/** Machines named in one message. */
const MOST_NAMED = 10;

export interface DeploymentRequest {
  readonly project: string;
  /** The release's version. */
  readonly release: string;
  readonly environment: string;
  readonly deadlineS?: number | undefined;
  readonly unreachable?: 'fail' | 'skip' | undefined;
  /** Whether it waits until its sites have the release. */
  readonly whenReady?: boolean | undefined;
  /** Only these of the environment's machines. */
  readonly machines?: readonly string[] | undefined;
}

/** What accepting a deployment needs beside the store. */
export interface SubmitDeps {
  readonly sealer: Opener;
  readonly steps: StepHandlerRegistry;
}

/**
 * Accepts a deployment. Rejects here what would fail later: no targets, a variable that does not resolve, a feed that
 * does not exist.
 */
export async function submitDeployment(
  tx: StoreTransaction,
  { sealer, steps: handlers }: SubmitDeps,
  request: DeploymentRequest,
  actor: Actor,
  retryOf?: string,
): Promise<Task> {
  const { project, environment, unreachable = 'fail', deadlineS, machines: ids, whenReady = false } = request;
  const release = await findRelease(tx, request);
  if ((await tx.environments.find(environment)) === undefined) {
    throw noSuch('environment', environment, 'environment');
  }
  const targets = await selectTargets(tx, { ids, environments: [environment] });
  const { machines } = targets;
  const named = await namedMachines(tx, release, environment);
  const taking = [...new Map([...machines, ...named].map((machine) => [machine.id, machine])).values()];
  const versionOf = await reportedVersions(tx, taking);
  const planned = planSteps(release.process, handlers, { machines: machines.map(versionOf) });
  const leftOut = wouldTakePart(targets.leftOut, (those) => planSteps(release.process, handlers, { machines: those }));
  checkTargets(planned, leftOut, release, environment);
  const among = ids === undefined ? `in ${environment}` : 'among those chosen';
  const steps = planned.map((step, index) => withReason(step, release.process[index]!, leftOut, among));
  checkInterpreters(release, handlers, taking, steps);
  const checkEach = stepChecks(release, handlers, steps, await feedCheck(tx));
  for (const machine of taking.filter(({ id }) => steps.some((step) => step.machines.includes(id)))) {
    const at = { environment, machine: machine.id, targetRoles: machine.targetRoles };
    checkEach(versionOf(machine), resolveAt(release.variables, at, sealer));
  }
  const { version } = release;
  const payload: DeploymentPayload = {
    ...{ project, release: release.id, version, environment, unreachable, steps },
    ...(whenReady ? { whenReady } : {}),
  };
  const title = `${project} ${version} to ${environment}`;
  const event = { project, release: version, environment };
  const task = await submitTask(tx, deploymentTraits, {
    title,
    payload,
    project,
    environment,
    deadlineS,
    actor,
    event,
    retryOf,
    leftOut,
  });
  await tx.deployments.insert({
    id: newId(),
    project,
    release: release.id,
    version,
    environment,
    task: task.id,
    createdAt: task.createdAt,
  });
  await tx.events.append({
    actor,
    type: 'deployment.created',
    subject: task.id,
    data: event,
  });
  if (ids === undefined) {
    await warnOfSkippedSteps(tx, task, steps);
    await warnOfMachinesWithoutEnvironment(tx, task, release);
  }
  return task;
}

async function findRelease(tx: StoreTransaction, { project, release }: DeploymentRequest): Promise<Release> {
  if ((await tx.projects.find(project)) === undefined) {
    throw noSuch('project', project, 'project');
  }
  const found = await tx.releases.findVersion(project, versionKey(release, 'release'));
  if (found !== undefined) return found;
  throw new IsthmusError('INVALID_FIELD', `project ${project} has no release ${release}`, {
    field: 'release',
    remedy: 'Choose a release that it has, or create this one.',
    action: { code: 'CHOOSE_OR_CREATE_RELEASE', arguments: { project, version: release } },
  });
}

/** The machines that run a step for all. Each must accept work and be in the environment, whatever its roles. */
async function namedMachines(tx: StoreTransaction, { process }: Release, environment: string): Promise<Machine[]> {
  const found: Machine[] = [];
  for (const { name, machine } of process) {
    if (machine === undefined) continue;
    try {
      const { machines } = await resolveTargets(tx, { machines: [machine], environments: [environment] });
      found.push(...machines);
    } catch (thrown) {
      throw ofRelease(`step ${name} runs on ${machine}`, thrown);
    }
  }
  return found;
}

/** Of the machines that accept no work, those that a step would run on. */
function wouldTakePart(
  unavailable: Targets['leftOut'],
  plan: (machines: PlanContext['machines']) => readonly PlannedStep[],
): Targets['leftOut'] {
  const steps = plan(unavailable.map(({ machine: id, targetRoles }) => ({ id, targetRoles, softwareVersion: null })));
  const planned = new Set(steps.flatMap(({ machines }) => machines));
  return unavailable.filter(({ machine }) => planned.has(machine));
}

function checkTargets(
  steps: readonly PlannedStep[],
  leftOut: Targets['leftOut'],
  { process }: Release,
  environment: string,
): void {
  const onTargets = steps.filter(({ machine }) => machine === undefined);
  if (onTargets.length === 0 || onTargets.some(({ machines }) => machines.length > 0)) return;
  const roles = [...new Set(process.flatMap(({ targetRoles }) => targetRoles))];
  const lacking = roles.length === 0 ? '' : ` with the role ${roles.join(' or ')}`;
  throw noTargets(` in ${environment}${lacking}`, leftOut, 'environment');
}

function checkInterpreters(
  { process }: Release,
  handlers: StepHandlerRegistry,
  machines: readonly Machine[],
  steps: readonly PlannedStep[],
): void {
  for (const [index, step] of process.entries()) {
    const taking = machines.filter(({ id }) => steps[index]!.machines.includes(id));
    const needed = handlers.of(step).interpreters?.(step) ?? [];
    for (const interpreter of needed) checkInterpreter(interpreter, taking, 'release');
  }
}

/** Adds to a machine the version that its node has reported last. */
async function reportedVersions(
  tx: StoreTransaction,
  machines: readonly Machine[],
): Promise<(machine: Machine) => PlannedMachine> {
  const nodes = await tx.nodes.byIds(machines.map(({ id }) => id));
  const versions = new Map(nodes.map(({ id, softwareVersion }) => [id, softwareVersion]));
  return ({ id, targetRoles }) => ({ id, targetRoles, softwareVersion: versions.get(id) ?? null });
}

async function feedCheck(tx: StoreTransaction): Promise<CheckContext['checkFeed']> {
  const configured = await tx.packageSources.all();
  const mirrors = new Map((await tx.nodes.all({ role: 'mirror' })).map((node) => [node.id, node]));
  return (feed) => checkFeed(feed, { configured, findNode: (id) => mirrors.get(id) });
}

/** Has each step that a machine takes checked for it. */
function stepChecks(
  { process }: Release,
  handlers: StepHandlerRegistry,
  steps: readonly PlannedStep[],
  checkFeed: CheckContext['checkFeed'],
): (machine: PlannedMachine, variables: ResolvedVariables) => void {
  return (machine, variables) => {
    for (const [index, step] of process.entries()) {
      if (!steps[index]!.machines.includes(machine.id)) continue;
      try {
        handlers.of(step).check?.(step, { machine, variables, checkFeed });
      } catch (thrown) {
        throw ofRelease(`step ${step.name} on ${machine.id}`, thrown);
      }
    }
  };
}

/** The error as one of the release that is to be deployed. */
function ofRelease(what: string, thrown: unknown): unknown {
  if (!(thrown instanceof IsthmusError)) return thrown;
  const { code, message, remedy, action } = thrown;
  return new IsthmusError(code, `${what}: ${message}`, { field: 'release', remedy, action });
}

/** The planned step, with the reason when no machine takes it. */
function withReason(planned: PlannedStep, step: ProcessStep, leftOut: Targets['leftOut'], among: string): PlannedStep {
  if (planned.machines.length > 0) return planned;
  const matching = machinesOf(step, { machines: leftOut.map(({ machine: id, targetRoles }) => ({ id, targetRoles })) });
  if (matching.length === 0)
    return { ...planned, skipped: `no machine ${among} has the role ${step.targetRoles.join(' or ')}` };
  return {
    ...planned,
    skipped: `left out: ${leftOutText(leftOut.filter(({ machine }) => matching.includes(machine)))}`,
  };
}

/** A step that no machine takes is not an error, but must not go unnoticed. */
async function warnOfSkippedSteps(tx: StoreTransaction, task: Task, steps: readonly PlannedStep[]): Promise<void> {
  for (const { name, skipped } of steps) {
    if (skipped === undefined) continue;
    await tx.taskEvents.append(task.id, { at: task.createdAt, level: 'warning', text: `step ${name}: ${skipped}` });
  }
}

/** A machine that joined with a role but without an environment gets no deployment, and nothing else reports it. */
async function warnOfMachinesWithoutEnvironment(tx: StoreTransaction, task: Task, { process }: Release): Promise<void> {
  const targetRoles = [...new Set(process.flatMap((step) => step.targetRoles))];
  if (targetRoles.length === 0) return;
  const machines = await tx.machines.select({ targetRoles, acceptsWork: true });
  const outside = machines.filter(({ environments }) => environments.length === 0).map(({ id }) => id);
  if (outside.length === 0) return;
  const named = outside.slice(0, MOST_NAMED);
  const action: RemedyAction = { code: 'SET_ENVIRONMENTS', arguments: { machines: named.join(',') } };
  await tx.taskEvents.append(task.id, {
    at: task.createdAt,
    level: 'warning',
    text: `not deployed to, because in no environment: ${named.join(', ')}${outside.length > MOST_NAMED ? ', …' : ''}`,
    data: { remedy: 'Put each of them into an environment, or disable it.', action },
  });
}

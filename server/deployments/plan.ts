// What a deployment will do, decided when it is accepted: which steps run on which machines, by which actions.
import type { ProcessStep } from '../store/process.ts';
import type { Machine } from '../store/repositories/machines.ts';
import type { PlannedStep } from '../tasks/view.ts';

export type DeploymentAction = 'script' | 'acquire' | 'stage' | 'pre' | 'activate' | 'post';

/** A deployment task's payload, as it is stored. */
export interface DeploymentPayload {
  readonly project: string;
  /** The release's id; `version` is for people. */
  readonly release: string;
  readonly version: string;
  readonly environment: string;
  readonly unreachable: 'fail' | 'skip';
  readonly steps: readonly PlannedStep[];
}

/** The actions of a step on one machine, in order. Each has a ticket of its own. */
export function actionsOf(step: ProcessStep): DeploymentAction[] {
  if (step.kind === 'script') return ['script'];
  return [
    'acquire',
    'stage',
    ...(step.preDeploy === undefined ? [] : (['pre'] as const)),
    'activate',
    ...(step.postDeploy === undefined ? [] : (['post'] as const)),
  ];
}

/** The steps with the machines that have one of their target roles; a step without roles is for every machine. */
export function planSteps(
  process: readonly ProcessStep[],
  machines: readonly Pick<Machine, 'id' | 'targetRoles'>[],
): PlannedStep[] {
  return process.map((step) => ({
    name: step.name,
    actions: actionsOf(step),
    machines: machines
      .filter(
        ({ targetRoles }) => step.targetRoles.length === 0 || step.targetRoles.some((r) => targetRoles.includes(r)),
      )
      .map(({ id }) => id),
  }));
}

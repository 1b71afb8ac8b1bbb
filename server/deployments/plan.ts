// Plans a deployment when it is accepted: which steps run on which machines, with which actions.
import type { ProcessStep } from '../store/projects/process.ts';
import { WORK_LANE, type TaskKind } from '../tasks/kinds.ts';
import type { PlannedStep } from '../tasks/planned-steps.ts';
import type { PlanContext, StepHandlerRegistry } from './steps/handler.ts';

/** A deployment task's payload, as it is stored. */
export interface DeploymentPayload {
  readonly project: string;
  /** The release's id; `version` is for display. */
  readonly release: string;
  readonly version: string;
  readonly environment: string;
  readonly unreachable: 'fail' | 'skip';
  /** Set when it waits until its sites have the release. */
  readonly whenReady?: true;
  readonly steps: readonly PlannedStep[];
}

/** One deployment per project and environment runs at a time. */
export const deploymentTraits = {
  kind: 'deployment',
  lane: WORK_LANE,
  concurrencyKey: ({ project, environment }) => `deployment/${project}/${environment}`,
} as const satisfies Pick<TaskKind<DeploymentPayload>, 'kind' | 'lane' | 'concurrencyKey'>;

/** Each step as its handler plans it. */
export function planSteps(
  process: readonly ProcessStep[],
  handlers: StepHandlerRegistry,
  context: PlanContext,
): PlannedStep[] {
  return process.map((step) => {
    const { name, stage, machine } = step;
    return {
      name,
      ...(stage === undefined ? {} : { stage }),
      ...(machine === undefined ? {} : { machine }),
      ...handlers.of(step).plan(step, context),
    };
  });
}

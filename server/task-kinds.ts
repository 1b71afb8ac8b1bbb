// Registers the task kinds and step kinds of a server, each from its feature. Add a new one here.
import { StepHandlerRegistry } from './deployments/steps/handler.ts';
import { packageStep } from './deployments/steps/package-step.ts';
import { scriptStep } from './deployments/steps/script-step.ts';
import type { DeploymentDeps } from './deployments/run.ts';
import { deploymentTask } from './deployments/task-kind.ts';
import { healthTask } from './health/health-task.ts';
import { scriptTask } from './scripts/script-task.ts';
import { warmTask, type WarmDeps } from './mirrors/warm-run.ts';
import type { UpgradeDeps } from './upgrades/node-upgrade.ts';
import { upgradeTask } from './upgrades/run.ts';
import { TaskKindRegistry } from './tasks/kinds.ts';

/** Every step kind. */
export function stepHandlers(): StepHandlerRegistry {
  return new StepHandlerRegistry().registerStepHandler(scriptStep).registerStepHandler(packageStep);
}

/** Every task kind. */
export function taskKinds(deps: DeploymentDeps & UpgradeDeps & WarmDeps): TaskKindRegistry {
  return new TaskKindRegistry()
    .registerTaskKind(scriptTask)
    .registerTaskKind(healthTask)
    .registerTaskKind(deploymentTask(deps))
    .registerTaskKind(upgradeTask(deps))
    .registerTaskKind(warmTask(deps));
}

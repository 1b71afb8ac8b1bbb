// The task kind of deployments.
import type { Task } from '../store/tasks/tasks.ts';
import type { TaskKind } from '../tasks/kinds.ts';
import { submitDeployment } from './deployments.ts';
import { deploymentTraits, type DeploymentPayload } from './plan.ts';
import { runDeployment, type DeploymentDeps } from './run.ts';

/** The kind; it writes events of each deployment beside those of its task. */
export function deploymentTask(deps: DeploymentDeps): TaskKind<DeploymentPayload> {
  return {
    ...deploymentTraits,
    run: (context, ticketDeps) => runDeployment(deps, context, ticketDeps),
    async onStart(tx, task, { resumed, ...start }) {
      const type = resumed ? 'deployment.resumed' : 'deployment.started';
      await tx.events.append({ actor: 'system', type, subject: task.id, data: { ...start, ...outlineOf(task) } });
    },
    async onEnd(tx, task, { state, errorCode = null }) {
      const data = { state, errorCode, ...outlineOf(task) };
      await tx.events.append({ actor: 'system', type: 'deployment.ended', subject: task.id, data });
    },
    retry(tx, { payload }, { machines, deadlineS, actor, retryOf }) {
      const { project, version, environment, unreachable } = payload as DeploymentPayload;
      const request = { project, release: version, environment, unreachable, deadlineS, machines };
      return submitDeployment(tx, deps, request, actor, retryOf);
    },
  };
}

function outlineOf({ project, environment }: Task): Pick<Task, 'project' | 'environment'> {
  return { project, environment };
}

// Deployments as a kind of task.
import type { Task } from '../store/repositories/tasks.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { TaskKind } from '../tasks/kinds.ts';
import { submitDeployment } from './deployments.ts';
import { deploymentTraits, type DeploymentPayload } from './plan.ts';
import { runDeployment, type DeploymentDeps } from './run.ts';

/** The kind, whose audit events tell of each deployment beside its task. */
export function deploymentTask(deps: DeploymentDeps): TaskKind<DeploymentPayload> {
  return {
    ...deploymentTraits,
    run: (context, ticketDeps) => runDeployment(deps, context, ticketDeps),
    onStart: (tx, task, { resumed, node, epoch }) =>
      appendEvent(tx, task, resumed ? 'resumed' : 'started', { node, epoch }),
    onEnd: (tx, task, { state, errorCode = null }) => appendEvent(tx, task, 'ended', { state, errorCode }),
    retry(tx, { payload }, { machines, deadlineS, actor, retryOf }) {
      const { project, version, environment, unreachable } = payload as DeploymentPayload;
      const request = { project, release: version, environment, unreachable, deadlineS, machines };
      return submitDeployment(tx, deps, request, actor, retryOf);
    },
  };
}

async function appendEvent(
  tx: StoreTransaction,
  { id, project, environment }: Task,
  what: 'started' | 'resumed' | 'ended',
  data: Readonly<Record<string, unknown>>,
): Promise<void> {
  await tx.events.append({
    actor: 'system',
    type: `deployment.${what}`,
    subjectKind: 'deployment',
    subject: id,
    data: { ...data, project, environment },
  });
}

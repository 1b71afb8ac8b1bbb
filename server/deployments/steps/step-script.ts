// A script inside a step of any kind: how it is checked, and how it runs on a machine.
import { Type } from 'typebox';
import { NewStepScript, type StepScript } from '../../../contract/projects.ts';
import { Closed } from '../../../contract/schema.ts';
import { INTERPRETERS } from '../../../contract/tasks.ts';
import { normaliseScript } from '../../../lib/text/read-text.ts';
import type { Installation } from '../../../proto/gen/isthmus/tentacle/v1/Installation.ts';
import type { ScriptPayload } from '../../../proto/gen/isthmus/tentacle/v1/ScriptPayload.ts';
import { scriptEnv } from '../../projects/index.ts';
import type { ProcessStep } from '../../store/projects/process.ts';
import { isScriptBody, LONGEST_SCRIPT_BYTES } from '../../tasks/execution/script-limits.ts';
import { runScriptTicket } from '../../tasks/execution/script-ticket.ts';
import type { ActionContext, TicketRunner } from './handler.ts';

/** A script as it is sent, with what a schema cannot say. */
export const CheckedStepScript = Closed({
  interpreter: Type.Enum([...INTERPRETERS], { default: 'bash' }),
  body: Type.Refine(
    NewStepScript.properties.body,
    isScriptBody,
    () => `must be a script of 1 to ${LONGEST_SCRIPT_BYTES} bytes, none of them NUL`,
  ),
});

/**
 * Runs the script alone on its machine, with the variables in its environment: in the release that its task staged for
 * the installation, or in a workspace of its own.
 */
export function scriptRunner(
  step: ProcessStep,
  { interpreter, body }: StepScript,
  context: ActionContext,
  installation?: Installation,
): TicketRunner {
  const { values, sensitiveValues } = context.variables;
  const payload: ScriptPayload = {
    interpreter,
    body: normaliseScript(body).body,
    env: scriptEnv(values, factsOf(step, context)),
    sensitiveValues: [...sensitiveValues],
    timeLimitS: step.timeLimitS ?? 0,
    isolation: 'exclusive',
    ...(installation === undefined ? {} : { installation }),
  };
  return (run, ticket) => runScriptTicket(run, ticket, payload);
}

/** What Isthmus tells a step about where it runs. */
export function factsOf({ name }: ProcessStep, { project, environment, task, target, release }: ActionContext) {
  return { project, release: release.version, environment, machine: target, task, step: name };
}

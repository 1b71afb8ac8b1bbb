// The step kind that runs a script on its machines.
import { NewScriptStep, type ScriptStep } from '../../../contract/projects.ts';
import { Closed } from '../../../contract/schema.ts';
import { machinesOf, type StepHandler } from './handler.ts';
import { CheckedStepScript, scriptRunner } from './step-script.ts';

export const scriptStep: StepHandler<ScriptStep> = {
  kind: 'script',
  schema: Closed({ ...NewScriptStep.properties, script: CheckedStepScript }),
  plan: (step, context) => ({ actions: ['script'], machines: machinesOf(step, context) }),
  interpreters: ({ script }) => [script.interpreter],
  actions: {
    script: (step, context) => scriptRunner(step, step.script, context),
  },
};

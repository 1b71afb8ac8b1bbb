// The step kind that runs a script on its machines.
import { Type, type Static } from 'typebox';
import { STEP_FIELDS } from '../../projects/index.ts';
import { machinesOf, type StepHandler } from './handler.ts';
import { scriptRunner, StepScript } from './step-script.ts';

const ScriptStep = Type.Object(
  { ...STEP_FIELDS, kind: Type.Literal('script'), script: StepScript },
  { additionalProperties: false },
);

export const scriptStep: StepHandler<Static<typeof ScriptStep>> = {
  kind: 'script',
  schema: ScriptStep,
  plan: (step, context) => ({ actions: ['script'], machines: machinesOf(step, context) }),
  actions: {
    script: (step, context) => scriptRunner(step, step.script, context),
  },
};

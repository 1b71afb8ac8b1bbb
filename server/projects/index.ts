// What deployments use of projects.
export { applicationName } from './projects.ts';
export { resolveAt, scriptEnv, type Opener, type ResolvedVariables } from './resolve.ts';
export { STEP_FIELDS, type StepType, type StepTypes } from './step-types.ts';

// What deployments use of projects.
export { applicationName } from './projects.ts';
export { resolveAt, scriptEnv, type Opener, type ResolvedVariables } from './resolve.ts';
export { STEP_FIELDS, type StepKind, type StepKinds } from './step-kinds.ts';

// What deployments use of projects.
export { feedOf } from './step-feed.ts';
export { resolveAt, scriptEnv, type Opener, type ResolvedVariables } from './resolve.ts';
export type { StepKind, StepKinds } from './step-kinds.ts';

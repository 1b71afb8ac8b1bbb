// What upgrades use of health checks.
export { checkHealth } from './health-check.ts';
export type { MachineHealth } from './judgement.ts';

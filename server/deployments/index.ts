// What mirrors use of deployments.
export { machinesOf } from './steps/handler.ts';

// What other features use of sites, environments and machines.
export { checkEnvironments } from './environments.ts';
export { registerMachine } from './machines.ts';

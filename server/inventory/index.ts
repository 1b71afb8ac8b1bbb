// The exports of sites, environments and machines that other features use.
export { checkEnvironments } from './environments.ts';
export { registerMachine } from './machines.ts';

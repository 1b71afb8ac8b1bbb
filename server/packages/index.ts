// What deployments use of packages.
export { checkFeed, checkTakesPushed } from './step-source.ts';

// Every mutant, by the file that records it.
import { identityMutants } from './identity.ts';
import { labMutants } from './lab.ts';
import { meshMutants } from './mesh.ts';
import type { Mutants } from './mutant.ts';
import { packagesMutants } from './packages.ts';
import { serverMutants } from './server.ts';
import { tasksMutants } from './tasks.ts';
import { tentacleMutants } from './tentacle.ts';

export const records: Readonly<Record<string, Mutants>> = {
  'test/mutants/identity.ts': identityMutants,
  'test/mutants/lab.ts': labMutants,
  'test/mutants/mesh.ts': meshMutants,
  'test/mutants/packages.ts': packagesMutants,
  'test/mutants/server.ts': serverMutants,
  'test/mutants/tasks.ts': tasksMutants,
  'test/mutants/tentacle.ts': tentacleMutants,
};

// Every mutant, by the file that records it.
import { hostMutants } from './host.ts';
import { identityMutants } from './identity.ts';
import { keepingMutants } from './keeping.ts';
import { labMutants } from './lab.ts';
import { meshMutants } from './mesh.ts';
import { mirrorsMutants } from './mirrors.ts';
import type { Mutants } from './mutant.ts';
import { packagesMutants } from './packages.ts';
import { serverMutants } from './server.ts';
import { tarballMutants } from './tarball.ts';
import { tasksMutants } from './tasks.ts';
import { tentacleMutants } from './tentacle.ts';
import { upgradesMutants } from './upgrades.ts';

/** In the order in which they are run: what takes long comes first, so that all workers end at about the same time. */
export const records: Readonly<Record<string, Mutants>> = {
  'test/mutants/lab.ts': labMutants,
  'test/mutants/server.ts': serverMutants,
  'test/mutants/mesh.ts': meshMutants,
  'test/mutants/identity.ts': identityMutants,
  'test/mutants/tasks.ts': tasksMutants,
  'test/mutants/tentacle.ts': tentacleMutants,
  'test/mutants/packages.ts': packagesMutants,
  'test/mutants/keeping.ts': keepingMutants,
  'test/mutants/mirrors.ts': mirrorsMutants,
  'test/mutants/host.ts': hostMutants,
  'test/mutants/tarball.ts': tarballMutants,
  'test/mutants/upgrades.ts': upgradesMutants,
};

// Four kinds of test: `unit` beside the code, `integration` in test/ with real sockets and processes, `lab` in network
// namespaces as root, `install` on booted machines in such namespaces. No retries anywhere: a test that fails now and
// then is a fault to be found. Time limits are far longer than any test takes alone, for machines that are busy with
// something else.
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// Hundreds of processes are started from the same sources. With their compiled code kept, which a change of a source
// makes new, a start takes half of the processor time (Node.js, module compile cache).
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, 'node_modules/.cache/tests/code');

const shared = {
  environment: 'node' as const,
  retry: 0,
  setupFiles: ['test/support/leak-check.ts'],
  exclude: ['**/node_modules/**', 'test/boundaries/planted/**'],
};

export default defineConfig({
  test: {
    pool: 'forks',
    // Half of the time tests wait, for sockets, processes and limits: one file more than there are cores.
    maxWorkers: availableParallelism() + 1,
    passWithNoTests: false,
    projects: [
      {
        test: {
          ...shared,
          name: 'unit',
          include: ['{bin,certs,cli,contract,host,lib,mesh,mirror,node,relay,server,tentacle}/**/*.test.ts'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'integration',
          include: ['test/**/*.test.ts'],
          exclude: [...shared.exclude, 'test/lab/**', 'test/install/**'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 300_000,
          // Each file has a lab of its own, in namespaces of its own, and mostly waits.
          maxWorkers: 2,
        },
      },
      {
        test: {
          ...shared,
          name: 'install',
          include: ['test/install/**/*.test.ts'],
          globalSetup: ['test/install/support/prepare.ts'],
          testTimeout: 240_000,
          hookTimeout: 300_000,
          // Each file has machines of its own, and mostly waits.
          maxWorkers: 3,
        },
      },
    ],
  },
});

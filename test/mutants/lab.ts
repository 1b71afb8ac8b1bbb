// Mutants whose test runs in the lab: as root, a network namespace per node.
import type { Mutants } from './mutant.ts';

/** The name of the test that kills these in one deployment. */
const killed = (...kills: readonly string[]) => `${kills.join('; ')}: the deployment ends whole`;
const SCRIPT_RUNS = killed(
  'pci, eu-1, us-1 killed when half the package is here',
  'server killed when the post-deploy script runs',
);
const ACCEPTED = killed(
  'eu, us killed when the deployment is accepted',
  'mirror-pci, eu-2, pci-2 killed when the pre-deploy script runs',
  'server killed when the last script has ended',
);

export const labMutants: Mutants = {
  'lab-fetch-per-follower': {
    file: 'mirror/cache.ts',
    find: 'if (pulling !== undefined) return pulling;',
    replace: '',
    red: {
      file: 'test/lab/product.test.ts',
      test: ['the product in the lab', 'a deployment succeeds everywhere, and its package crosses each long line once'],
    },
  },
  'lab-silence-unheard': {
    file: 'mesh/link/heartbeat.ts',
    find: 'this.#silentTicks += 1;',
    replace: '',
    red: {
      file: 'test/lab/cuts.test.ts',
      test: ['lines cut in the lab', 'a line that goes silent while idle is found, and its descriptors are freed'],
    },
  },
  'lab-start-per-sending': {
    file: 'tentacle/scripts/engine.ts',
    find: 'if (this.#known(order) === undefined)',
    replace: 'if (true)',
    also: [
      {
        file: 'tentacle/scripts/engine.ts',
        find: `const { ticket, task, payload, expiresAtMs } = order;
    if (this.#journal.ticket(ticket) !== undefined) return;`,
        replace: 'const { ticket, task, payload, expiresAtMs } = order;',
      },
      {
        file: 'tentacle/scripts/engine.ts',
        find: 'await script.begin(payload, spec, 1);',
        replace: 'await script.begin(payload, spec, Date.now());',
      },
      {
        file: 'tentacle/scripts/workspace/workspaces.ts',
        find: 'const spare = this.#spare.pop();',
        replace: 'const spare = undefined;',
      },
      {
        file: 'tentacle/scripts/workspace/workspaces.ts',
        find: 'mkdirSync(workspace.path, { mode: 0o700 })',
        replace: 'mkdirSync(workspace.path, { mode: 0o700, recursive: true })',
      },
    ],
    red: {
      file: 'test/lab/kills.test.ts',
      test: ['components killed in the lab', SCRIPT_RUNS],
    },
  },
  'lab-backoff-too-long': {
    file: 'mesh/link/connector.ts',
    find: 'await pause(waitMs, signal);',
    replace: "await pause(waitMs + (outcome.kind === 'served' && outcome.forMs > 10_000 ? 60_000 : 0), signal);",
    red: {
      file: 'test/lab/kills.test.ts',
      test: ['components killed in the lab', ACCEPTED],
    },
  },
};

// Mutants of upgrades: what a node takes, when a version is kept, and how far a bad one gets.
import type { Mutants } from './mutant.ts';

export const upgradesMutants: Mutants = {
  'canary-left-out': {
    file: 'server/upgrades/node-upgrade.ts',
    find: 'if (this.#node !== canary) return',
    replace: 'return',
    red: {
      file: 'test/upgrades/task.test.ts',
      test: [
        'a canary that does not answer',
        'ends the upgrade before any other node, although the unreachable ones are left out',
      ],
    },
  },
  'upgrade-unsigned': {
    file: 'node/upgrade/upgrade.ts',
    find: 'const sha256 = signedDigest(request, name, trusted);',
    replace: 'const sha256 = request.sums.slice(0, 64);',
    red: {
      file: 'test/upgrades/node.test.ts',
      test: ['nothing is fetched', 'with a signature of a key that the host does not trust'],
    },
  },
  'confirm-any-version': {
    file: 'node/upgrade/upgrade.ts',
    find: 'if (latest.to !== version) {',
    replace: 'if (false) {',
    red: {
      file: 'test/upgrades/node.test.ts',
      test: [
        'an upgrade that the host carries out',
        'is answered from its journal, and confirmed only by the version that it brought',
      ],
    },
  },
  'two-upgrades-at-once': {
    file: 'node/upgrade/upgrade.ts',
    find: '    this.#assertFree(id);\n',
    replace: '',
    red: {
      file: 'test/upgrades/node.test.ts',
      test: ['nothing is fetched', 'while another upgrade is fetched, ordered or carried out'],
    },
  },
  'confirm-the-unhealthy': {
    file: 'server/upgrades/node-upgrade.ts',
    find: 'if (!isEnough) {',
    replace: 'if (false) {',
    red: {
      file: 'test/upgrades/task.test.ts',
      test: ['an upgrade of a site', 'stops at the first failure, and says which nodes were not tried'],
    },
  },
  'all-are-canaries': {
    file: 'server/upgrades/run.ts',
    find: 'let isProven = false',
    replace: 'let isProven = true',
    red: {
      file: 'test/upgrades/task.test.ts',
      test: ['an upgrade of a site', 'takes one tentacle first, then the others, mirrors, and relays last'],
    },
  },
  'upgrade-on-and-on': {
    file: 'server/upgrades/run.ts',
    find: 'if (stops(end)) stopper ??= end;',
    replace: '',
    red: {
      file: 'test/upgrades/task.test.ts',
      test: ['an upgrade of a site', 'stops at the first failure, and says which nodes were not tried'],
    },
  },
  'upgrade-above-the-server': {
    file: 'server/upgrades/request.ts',
    find: 'if (compareVersions(version, serverVersion) > 0) {',
    replace: 'if (false) {',
    red: {
      file: 'test/upgrades/request.test.ts',
      test: ['POST /node-upgrades', 'rejects a version above the server'],
    },
  },
};

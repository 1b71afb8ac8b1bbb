// Mutants of keeping packages: deletions, retention, caches.
import type { Mutants } from './mutant.ts';

export const keepingMutants: Mutants = {
  'used-version-deleted': {
    file: 'server/packages/delete.ts',
    find: 'await referencesTo(tx, entry)',
    replace: '[]',
    red: {
      file: 'test/packages/delete.test.ts',
      test: ['a version', 'that a release pins stays, and the error names the releases'],
    },
  },
  'new-version-pruned': {
    file: 'server/packages/retention.ts',
    find: 'publishedAt < clock.now() - NEW_FOR_MS',
    replace: 'publishedAt > 0',
    red: {
      file: 'test/packages/delete.test.ts',
      test: [
        'retention',
        'deletes the versions below the highest ones, but none in use and none that is new, with an event each',
      ],
    },
  },
  'shared-bytes-deleted': {
    file: 'server/packages/delete.ts',
    find: '(await store.packages.byDigest(sha256)).length === 0',
    replace: 'store !== undefined',
    red: {
      file: 'test/packages/delete.test.ts',
      test: ['a version', 'leaves the bytes that another version has'],
    },
  },
};

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
  'leased-package-evicted': {
    file: 'mirror/space.ts',
    find: ' && !protection.isLeased(sha256)',
    replace: '',
    red: {
      file: 'test/packages/keeping.test.ts',
      test: ['eviction', 'spares what has a lease, and passes on what has no room, as an alarm that ends'],
    },
  },
  'popular-package-evicted': {
    file: 'mirror/uses.ts',
    find: 'value(a) - value(b) || ',
    replace: '',
    red: {
      file: 'test/packages/keeping.test.ts',
      test: ['eviction', 'keeps what is used all the time when many packages pass that are used once'],
    },
  },
  'damaged-package-served': {
    file: 'lib/blobs/blob-store.ts',
    find: '(digest) => digest === sha256',
    replace: "(digest) => digest !== ''",
    red: {
      file: 'test/packages/keeping.test.ts',
      test: ['a damaged package', 'is not served when no source has it, and stays put aside'],
    },
  },
  'version-before-unpinned': {
    file: 'server/mirrors/protection.ts',
    find: "pinInstalled('previousSha256');",
    replace: '',
    red: {
      file: 'test/mirrors/keeping.test.ts',
      test: [
        'a mirror keeps',
        'what its machines have, what they had before, what people pinned, and what open deployments need',
      ],
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

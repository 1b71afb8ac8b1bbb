// Mutants of what builds the files that are carried to a machine.
import type { Mutants } from './mutant.ts';

const file = 'test/tarball/command.test.ts';

export const tarballMutants: Mutants = {
  'tarball-that-no-list-names': {
    file: 'build/package/out-folder.ts',
    find: 'for (const name of left) rmSync(join(out, name), { force: true });',
    replace: '',
    red: { file, test: ['what is published takes the place of all that its list does not name'] },
  },
  'release-key-over-another': {
    file: 'build/package/release-key.ts',
    find: "flag: 'wx'",
    replace: "flag: 'w'",
    red: { file, test: ['a new key is its owner’s alone, and never takes the place of another'] },
  },
  'signed-with-a-key-that-others-read': {
    file: 'build/package/release-key.ts',
    find: 'const BY_OTHERS = 0o077;',
    replace: 'const BY_OTHERS = 0;',
    red: { file, test: ['a key that cannot sign is named, with what it is'] },
  },
};

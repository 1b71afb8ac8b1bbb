// Mutants of what looks after the software and the services of a machine.
import type { Mutants } from './mutant.ts';

export const hostMutants: Mutants = {
  'status-of-a-link': {
    file: 'host/status.ts',
    find: 'readBelow(dataDir, [FILE_NAME], MAX_BYTES)',
    replace: 'readFileSync(join(dataDir, FILE_NAME))',
    also: [
      {
        file: 'host/status.ts',
        find: "import { join } from 'node:path';",
        replace: "import { readFileSync } from 'node:fs'; import { join } from 'node:path';",
      },
    ],
    red: { file: 'host/status.test.ts', test: ['a link, a large file and what is no status are not believed'] },
  },
  'status-floods-the-disk': {
    file: 'host/status.ts',
    find: 'if (!this.#writes.take()) return;',
    replace: '',
    red: { file: 'host/status.test.ts', test: ['a link that flaps costs few writes, and the last state is written'] },
  },
};

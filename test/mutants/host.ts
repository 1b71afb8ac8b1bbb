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
  'data-folder-through-a-link': {
    file: 'host/services/data-folder.ts',
    find: 'constants.O_RDONLY | constants.O_NOFOLLOW |',
    replace: 'constants.O_RDONLY |',
    red: {
      file: 'host/services/data-folder.test.ts',
      test: ['a data folder', 'gives no file away that a link in it leads to, or that has another name'],
    },
  },
  'hard-link-given-away': {
    file: 'host/services/data-folder.ts',
    find: 'stats.nlink > 1',
    replace: 'stats.nlink > 2',
    red: {
      file: 'host/services/data-folder.test.ts',
      test: ['a data folder', 'gives no file away that a link in it leads to, or that has another name'],
    },
  },
  'root-in-the-folder-of-others': {
    file: 'lib/files/as-owner.ts',
    find: 'process.seteuid!(owner.uid);',
    replace: '',
    red: {
      file: 'lib/files/as-owner.test.ts',
      test: [
        'as the owner of a folder, root',
        'reads nothing through a link that the owner could not read, and creates files of the owner',
      ],
    },
  },
  'service-by-an-old-status': {
    file: 'host/services/service.ts',
    find: 'status?.pid === state.pid ? status : undefined',
    replace: 'status',
    red: { file: 'host/services/install.test.ts', test: ['a service', 'is not what another process has written'] },
  },
  'service-left-half-installed': {
    file: 'host/services/install.ts',
    find: "if (isFirst && error.code === 'SERVICE_START_FAILED')",
    replace: "if (isFirst && error.code === 'SERVICE_NOT_CONNECTED')",
    red: {
      file: 'host/services/install.test.ts',
      test: ['a service', 'that ends right after its first start is taken away, with what its component said'],
    },
  },
  'unit-of-somebody-replaced': {
    file: 'host/services/units.ts',
    find: '&& !isLinkTo(link, file)) {',
    replace: '&& false) {',
    red: { file: 'host/services/install.test.ts', test: ['a service', 'does not replace a unit that somebody wrote'] },
  },
  'status-floods-the-disk': {
    file: 'host/status.ts',
    find: 'if (!this.#writes.take()) return;',
    replace: '',
    red: { file: 'host/status.test.ts', test: ['a link that flaps costs few writes, and the last state is written'] },
  },
};

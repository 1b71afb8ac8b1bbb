// docs/install.md, read by somebody who has the files of two versions.
import { describe } from 'vitest';
import { cannotBoot } from './support/needs.ts';
import { readPages } from './support/pages.ts';
import { readInOrder } from './support/reading.ts';
import { higherVersion, presentSoftware, renumberedSoftware } from './support/software.ts';

const pages = (await readPages()).filter(({ file }) => file === 'docs/install.md');

describe.skipIf(cannotBoot())('docs/install.md', () =>
  readInOrder(pages, async (estate, folder) => {
    const present = await presentSoftware();
    const next = await renumberedSoftware(folder, higherVersion(present));
    await estate.carry(present.folder);
    await estate.carry(next.folder, next.version);
  }),
);

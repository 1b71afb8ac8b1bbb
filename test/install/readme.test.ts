// README, read by somebody who does what it says; then the pages of docs/ about a mesh that runs, on its machines.
import { describe } from 'vitest';
import { cannotBoot } from './support/needs.ts';
import { readPages } from './support/pages.ts';
import { readInOrder } from './support/reading.ts';

const pages = (await readPages()).filter(({ file }) => file !== 'docs/install.md');

describe.skipIf(cannotBoot())('README, and the pages about a mesh that runs', () => readInOrder(pages));

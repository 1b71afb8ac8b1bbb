// Tests that read pages: every block that is to be run is run, in order, on machines that know nothing but what the
// pages had them install.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, inject, test } from 'vitest';
import { Estate, machineNames } from './estate.ts';
import type { Page } from './pages.ts';
import { Reader } from './reader.ts';
import { asSteps } from './steps.ts';

/** One test for each block of the pages; `prepare` gets machines that have just been booted, and an empty folder. */
export function readInOrder(
  pages: readonly Page[],
  prepare: (estate: Estate, folder: string) => Promise<void> = () => Promise.resolve(),
): void {
  const named = new Set(pages.flatMap(({ blocks }) => blocks.flatMap(({ machines }) => machines)));
  let estate: Estate;
  let folder: string;
  let reader: Reader;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-reader-'));
    estate = await Estate.up(
      inject('base'),
      machineNames.filter((name) => named.has(name)),
    );
    reader = new Reader(estate, folder);
    await prepare(estate, folder);
  });
  afterAll(async () => {
    await estate?.down();
    await rm(folder, { recursive: true, force: true });
  });
  asSteps(() => estate.autopsy());

  test.each(pages.flatMap(({ file, blocks }) => blocks.map((block) => ({ name: `${file}:${block.line}`, block }))))(
    '$name',
    ({ block }) => reader.run(block),
  );
}

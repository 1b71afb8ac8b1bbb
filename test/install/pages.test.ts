// README and the pages of docs/, read by somebody who does what they say: every block that is to be run is run, in
// order, on machines that know nothing but what the pages had them install.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, inject, test } from 'vitest';
import { Estate } from './support/estate.ts';
import { cannotBoot } from './support/needs.ts';
import { readPages } from './support/pages.ts';
import { Reader } from './support/reader.ts';

const pages = (await readPages()).filter(({ blocks }) => blocks.length > 0);

describe.skipIf(cannotBoot())('the pages', () => {
  let estate: Estate;
  let checkout: string;
  let reader: Reader;
  beforeAll(async () => {
    checkout = await mkdtemp(join(tmpdir(), 'isthmus-checkout-'));
    estate = await Estate.up(inject('base'));
    reader = new Reader(estate, checkout);
  });
  afterAll(async () => {
    await estate?.down();
    await rm(checkout, { recursive: true, force: true });
  });

  test.each(pages.flatMap(({ file, blocks }) => blocks.map((block) => ({ name: `${file}:${block.line}`, block }))))(
    '$name',
    async ({ block }) => {
      await reader.run(block).catch(async (thrown: unknown) => {
        console.error(await estate.autopsy());
        throw thrown;
      });
    },
  );
});

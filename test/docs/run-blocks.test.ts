// The blocks of README and docs/ that a reader is to run: every one is well-formed and names a machine of the tests.
import { expect, test } from 'vitest';
import { machineNames } from '../install/support/estate.ts';
import { fencedBlocks, readPages, runBlocks } from '../install/support/pages.ts';
import { asTyped } from '../install/support/reader.ts';

test('every block to run names machines of the tests, and README and install.md have some for each kind', async () => {
  const known = new Set<string>(['checkout', ...machineNames]);
  const pages = await readPages();
  for (const { file, blocks } of pages) {
    const unknown = blocks.flatMap(({ machines }) => machines.filter((name) => !known.has(name)));
    expect(unknown, file).toEqual([]);
  }
  const namedIn = (page: string): string[] =>
    pages.flatMap(({ file, blocks }) => (file === page ? blocks.flatMap(({ machines }) => machines) : []));
  expect(namedIn('README.md')).toEqual(expect.arrayContaining(['checkout', 'server', 'eu', 'web-1']));
  expect(namedIn('docs/install.md')).toEqual(expect.arrayContaining(['server', 'eu', 'web-1']));
});

test('a block is found also in a list and with longer fences, and one that does not end is an error', () => {
  const text = ['1. First:', '', '   ```sh run eu', '   a', '     b', '   ```', '````', '```sh', '````'].join('\n');
  expect(fencedBlocks(text)).toEqual([
    { line: 3, info: 'sh run eu', body: 'a\n  b\n' },
    { line: 7, info: '', body: '```sh\n' },
  ]);
  expect(() => fencedBlocks('```sh\na')).toThrow('line 1 does not end');
});

test('an info string that says run in another form is an error', () => {
  for (const info of ['sh run', 'run eu', 'sh run eu, web-1', 'bash run eu']) {
    expect(() => runBlocks(`\`\`\`${info}\na\n\`\`\``), info).toThrow('is not of the form');
  }
});

test('the printed lines are typed where the page shows them, with the words that follow', () => {
  const printed = "Run this:\n\nisthmus join --pin 3f --token-file - <<'END'\nijt_x\nEND\n\nAnother.";
  expect(asTyped('isthmus join … --service   # the printed lines\nls', printed)).toBe(
    "isthmus join --service --pin 3f --token-file - <<'END'\nijt_x\nEND\nls",
  );
  expect(asTyped('isthmus join …', printed)).toBe("isthmus join --pin 3f --token-file - <<'END'\nijt_x\nEND");
  expect(asTyped('isthmus mesh status', '')).toBe('isthmus mesh status');
  expect(() => asTyped('isthmus join …', 'nothing')).toThrow('no command has printed');
});

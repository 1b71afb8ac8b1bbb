// docs/where.md is true: each of its files exists, and its first line says what the page says of it.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const page = await readFile(join(root, 'docs/where.md'), 'utf8');

const rows = [...page.matchAll(/^\| (.+?) +\| `(.+?)` +\| (.+?) +\|$/gm)].map(([, behaviour, file, says]) => ({
  behaviour: behaviour!,
  file: file!,
  says: says!,
}));

test('names thirty behaviours, each once', () => {
  expect(rows).toHaveLength(30);
  expect(new Set(rows.map(({ behaviour }) => behaviour)).size).toBe(30);
  expect(new Set(rows.map(({ file }) => file)).size).toBe(30);
});

test.each(rows)('$behaviour: $file says “$says”', async ({ file, says }) => {
  const [firstLine = ''] = (await readFile(join(root, file), 'utf8')).split('\n', 1);
  expect(firstLine.toLowerCase()).toContain(says.toLowerCase());
});

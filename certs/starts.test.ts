// The list of a node's starts: what a restart has and a copy lacks.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bootId } from '../lib/boot-id.ts';
import { tempDir } from '../test/support/temp.ts';
import { NodeStarts } from './starts.ts';

it('is on the disk before it is told, and the next start has it', async () => {
  const folder = await tempDir();
  const first = new NodeStarts(folder).tell();
  expect(first).toMatchObject({ count: 1, nonces: [expect.stringMatching(/^[0-9a-f]{16}$/)] });
  expect(readFileSync(join(folder, 'starts.json'), 'utf8')).toContain(first.nonces[0]);
  const second = new NodeStarts(folder).tell();
  expect(second).toMatchObject({ count: 2, nonces: [expect.anything(), first.nonces[0]] });
});

it('tells the same start as long as the process lives', async () => {
  const starts = new NodeStarts(await tempDir());
  expect(starts.tell()).toBe(starts.tell());
});

it('has every one of 300 starts that were killed before anybody answered', async () => {
  const folder = await tempDir();
  const told = Array.from({ length: 300 }, () => new NodeStarts(folder).tell().nonces[0]);
  expect(new NodeStarts(folder).tell().nonces.slice(1)).toEqual(told.toReversed());
});

it('counts the starts of its own folder, and none that a copy or an earlier boot has told', async () => {
  const folder = await tempDir();
  new NodeStarts(folder).tell();
  expect(new NodeStarts(folder).tell()).toMatchObject({ ofThisFolder: 2 });
  const copy = join(await tempDir(), 'copy');
  cpSync(folder, copy, { recursive: true });
  expect(new NodeStarts(copy).tell()).toMatchObject({ count: 3, ofThisFolder: 1 });
  expect(new NodeStarts(copy).tell()).toMatchObject({ count: 4, ofThisFolder: 2 });
  const path = join(folder, 'starts.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace(bootId(), 'an earlier boot'));
  expect(new NodeStarts(folder).tell()).toMatchObject({ count: 3, ofThisFolder: 1 });
});

it('leaves nothing of a start that told nobody', async () => {
  const folder = await tempDir();
  new NodeStarts(folder);
  expect(new NodeStarts(folder).tell()).toMatchObject({ count: 1, nonces: { length: 1 } });
});

it('is IDENTITY_INVALID when the file is not a list of starts', async () => {
  const folder = await tempDir();
  writeFileSync(join(folder, 'starts.json'), '{"count":1}');
  expect(() => new NodeStarts(folder).tell()).toThrow(expect.objectContaining({ code: 'IDENTITY_INVALID' }));
});

import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { IsthmusError } from '../lib/errors.ts';
import { silentLogger } from '../lib/log.ts';
import { tempDir } from '../test/support/temp.ts';
import { Refusals, refusalsKept } from './denials.ts';

const forbidden = new IsthmusError('FORBIDDEN', 'that may not');

describe('refusals', () => {
  it('are known after a kill and after a stop, as the same, and not noted again', async () => {
    const folder = await tempDir();
    const killed = Refusals.open(folder, silentLogger());
    killed.note(forbidden, 'web-1', 'feed');
    const again = Refusals.open(folder, silentLogger());
    expect(again.latest()).toEqual(killed.latest());
    again.note(forbidden, 'web-1', 'feed');
    again.note(forbidden, 'web-2', 'feed');
    again.note(forbidden, 'web-3', 'feed');
    again.close();
    const third = Refusals.open(folder, silentLogger());
    expect(third.latest()).toEqual(again.latest());
    expect(third.latest().map(({ by }) => by)).toEqual(['web-1', 'web-2', 'web-3']);
    expect(readdirSync(folder)).toEqual(['refusals.json']);
  });

  it('take no more than their place in the file, either', async () => {
    const folder = await tempDir();
    const refusals = Refusals.open(folder, silentLogger());
    for (let peer = 0; peer < 3 * refusalsKept; peer += 1) refusals.note(forbidden, `web-${peer}`, 'feed');
    refusals.close();
    const by = Refusals.open(folder, silentLogger()).latest();
    expect(by.map((refusal) => refusal.by)).toEqual(refusals.latest().map((refusal) => refusal.by));
    expect(by).toHaveLength(refusalsKept);
  });

  it.each(['', '{', '{}', '[1]', '[{"id":"1","code":"NO_SUCH_CODE","by":"","what":"","detail":"","atMs":1}]'])(
    'of a damaged file are none: %s',
    async (content) => {
      const folder = await tempDir();
      writeFileSync(join(folder, 'refusals.json'), content);
      expect(Refusals.open(folder, silentLogger()).latest()).toEqual([]);
    },
  );

  it('are kept in memory where the disk is full', async () => {
    const refusals = Refusals.open(join(await tempDir(), 'nowhere'), silentLogger());
    refusals.note(forbidden, 'web-1', 'feed');
    refusals.close();
    expect(refusals.latest()).toHaveLength(1);
  });
});

import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { IsthmusError } from '../contract/errors.ts';
import { silentLogger } from '../lib/telemetry/log.ts';
import { tempDir } from '../test/support/temp.ts';
import { Denials, MAX_DENIALS } from './denials.ts';

const forbidden = new IsthmusError('FORBIDDEN', 'that may not');

describe('denials', () => {
  it('are known after a kill and after a stop, as the same, and not recorded again', async () => {
    const folder = await tempDir();
    const killed = Denials.open(folder, silentLogger());
    killed.record(forbidden, 'web-1', 'feed');
    const again = Denials.open(folder, silentLogger());
    expect(again.latest()).toEqual(killed.latest());
    again.record(forbidden, 'web-1', 'feed');
    again.record(forbidden, 'web-2', 'feed');
    again.record(forbidden, 'web-3', 'feed');
    again.close();
    const third = Denials.open(folder, silentLogger());
    expect(third.latest()).toEqual(again.latest());
    expect(third.latest().map(({ by }) => by)).toEqual(['web-1', 'web-2', 'web-3']);
    expect(readdirSync(folder)).toEqual(['denials.json']);
  });

  it('take no more than their slots in the file, either', async () => {
    const folder = await tempDir();
    const denials = Denials.open(folder, silentLogger());
    for (let peer = 0; peer < 3 * MAX_DENIALS; peer += 1) denials.record(forbidden, `web-${peer}`, 'feed');
    denials.close();
    const by = Denials.open(folder, silentLogger()).latest();
    expect(by.map((denial) => denial.by)).toEqual(denials.latest().map((denial) => denial.by));
    expect(by).toHaveLength(MAX_DENIALS);
  });

  it.each(['', '{', '{}', '[1]', '[{"id":"1","code":"NO_SUCH_CODE","by":"","what":"","detail":"","atMs":1}]'])(
    'of a damaged file are none: %s',
    async (content) => {
      const folder = await tempDir();
      writeFileSync(join(folder, 'denials.json'), content);
      expect(Denials.open(folder, silentLogger()).latest()).toEqual([]);
    },
  );

  it('are kept in memory where the disk is full', async () => {
    const denials = Denials.open(join(await tempDir(), 'nowhere'), silentLogger());
    denials.record(forbidden, 'web-1', 'feed');
    denials.close();
    expect(denials.latest()).toHaveLength(1);
  });
});

import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { KeptWindows } from './kept-windows.ts';

describe('kept windows', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'isthmus-windows-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const open = (): KeptWindows => KeptWindows.open(folder, silentLogger());

  it('are there after a restart, with their age', () => {
    const windows = open();
    const atMs = performance.now() - 5_000;
    windows.keep('relay-1', { bytes: 1, atMs });
    windows.keep('relay-1', { bytes: 800_000, atMs });
    windows.close();
    const kept = open().of('relay-1')!;
    expect(kept.bytes).toBe(800_000);
    expect(Math.abs(kept.atMs - atMs)).toBeLessThan(1_000);
    expect(readdirSync(folder)).toEqual(['links.json']);
  });

  it.each(['', '{', '[]', 'null', '{"relay-1":7}', '{"relay-1":{"bytes":"x","atMs":1}}'])(
    'count as none where the file says %j',
    (content) => {
      writeFileSync(join(folder, 'links.json'), content);
      expect(open().of('relay-1')).toBeUndefined();
    },
  );

  it('are bounded in number', () => {
    const windows = open();
    for (let i = 0; i < 5_000; i += 1) windows.keep(`node-${i}`, { bytes: 1, atMs: 0 });
    expect(windows.of('node-0')).toBeUndefined();
    expect(windows.of('node-4999')).toBeDefined();
    windows.close();
  });
});

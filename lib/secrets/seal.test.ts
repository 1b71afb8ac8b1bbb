import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createMasterKey, openMasterKey } from './seal.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'isthmus-seal-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const code = (name: string): unknown => expect.objectContaining({ code: name });

describe('the master key', () => {
  test('is created once, 0600, and opened again', () => {
    const sealed = createMasterKey({ dataDir }).seal('secret', 'row/1');
    expect(statSync(join(dataDir, 'master.key')).mode & 0o777).toBe(0o600);
    expect(openMasterKey({ dataDir }).openText(sealed, 'row/1')).toBe('secret');
    expect(createMasterKey({ dataDir }).openText(sealed, 'row/1')).toBe('secret');
  });

  test('may be stored elsewhere', () => {
    const keyFile = join(dataDir, 'elsewhere');
    createMasterKey({ dataDir, keyFile });
    expect(existsSync(join(dataDir, 'master.key'))).toBe(false);
    openMasterKey({ dataDir, keyFile });
  });

  test('missing is rejected, and none is created', () => {
    createMasterKey({ dataDir });
    rmSync(join(dataDir, 'master.key'));
    expect(() => openMasterKey({ dataDir })).toThrow(code('MASTER_KEY_MISSING'));
    expect(() => createMasterKey({ dataDir })).toThrow(code('MASTER_KEY_MISSING'));
    expect(existsSync(join(dataDir, 'master.key'))).toBe(false);
  });

  test.each([
    ['another key', Buffer.alloc(32, 7).toString('base64')],
    ['too short', 'AAAA'],
    ['empty', ''],
  ])('wrong (%s) is rejected, and stays as it is', (_name, content) => {
    createMasterKey({ dataDir });
    writeFileSync(join(dataDir, 'master.key'), content);
    expect(() => openMasterKey({ dataDir })).toThrow(code('MASTER_KEY_WRONG'));
    expect(readFileSync(join(dataDir, 'master.key'), 'utf8')).toBe(content);
  });

  test('without its check value is rejected', () => {
    createMasterKey({ dataDir });
    rmSync(join(dataDir, 'master.check'));
    expect(() => openMasterKey({ dataDir })).toThrow(code('MASTER_KEY_WRONG'));
  });
});

describe('a sealed value', () => {
  test('opens only for its own identity, unchanged, under its own key', () => {
    const sealer = createMasterKey({ dataDir });
    mkdirSync(join(dataDir, 'other'));
    const other = createMasterKey({ dataDir: join(dataDir, 'other') });
    const sealed = sealer.seal('päss', 'variables/1');
    expect(sealed).not.toContain('päss');
    expect(sealer.openText(sealed, 'variables/1')).toBe('päss');
    expect(sealer.seal('päss', 'variables/1')).not.toBe(sealed);
    expect(() => sealer.open(sealed, 'variables/2')).toThrow(code('DECRYPT_FAILED'));
    expect(() => other.open(sealed, 'variables/1')).toThrow(code('DECRYPT_FAILED'));
    for (const at of [8, 20, sealed.length - 3]) {
      const swapped = sealed[at] === 'A' ? 'B' : 'A';
      const changed = sealed.slice(0, at) + swapped + sealed.slice(at + 1);
      expect(() => sealer.open(changed, 'variables/1')).toThrow(code('DECRYPT_FAILED'));
    }
    for (const bad of ['', 'plain', 'sealed1.', 'sealed1.AAAA']) {
      expect(() => sealer.open(bad, 'variables/1')).toThrow(code('DECRYPT_FAILED'));
    }
  });
});

// What may never be in the repository: key material, and the paths of a machine it was written on.
import { execFile } from 'node:child_process';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');

async function files(): Promise<string[]> {
  const listed = await promisify(execFile)('git', ['ls-files', '-co', '--exclude-standard', '-z'], { cwd: root });
  return listed.stdout.split('\0').filter((path) => path !== '' && path !== 'package-lock.json');
}

const forbidden = [
  { what: 'a private key', pattern: /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*\n?[A-Za-z0-9+/=]{40}/ },
  { what: 'an API key', pattern: /\bisk_[a-z0-9]{6,}_[A-Za-z0-9_-]{20,}/ },
  { what: "a machine's own path", pattern: new RegExp(['', '(work|farm|tmp/bash_jobs)', '[a-z.]+'].join('/')) },
] as const;

test('no file holds key material or a path of one machine', async () => {
  const found: string[] = [];
  const paths = await files();
  expect(paths.length).toBeGreaterThan(50);
  for (const path of paths) {
    const full = join(root, path);
    const size = await stat(full).then(
      (stats) => stats.size,
      () => undefined,
    );
    if (size === undefined) continue;
    const text = await readFile(full, 'latin1');
    for (const { what, pattern } of forbidden) if (pattern.test(text)) found.push(`${path}: ${what}`);
    if (size > 1024 * 1024) found.push(`${path}: larger than 1 MiB`);
  }
  expect(found).toEqual([]);
});

test('the patterns find what they look for', () => {
  const key = ['-----BEGIN RSA PRIVATE', ' KEY-----\n', 'A'.repeat(64)].join('');
  expect(forbidden[0].pattern.test(key)).toBe(true);
  expect(forbidden[1].pattern.test(`isk_${'a'.repeat(8)}_${'b'.repeat(32)}`)).toBe(true);
  expect(forbidden[2].pattern.test(['see ', 'work', 'main'].join('/'))).toBe(true);
});

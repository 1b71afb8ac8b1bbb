// Unpacks archives beside a canary: what is rejected leaves nothing behind.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { expect } from 'vitest';
import type { ErrorCode } from '../../contract/errors.ts';
import { checkArchive, unpackArchive, type UnpackedFormat } from '../../lib/archives/archive.ts';
import type { ArchiveLimits } from '../../lib/archives/visitor.ts';
import { tempDir } from '../support/temp.ts';

/** Every path below a folder, sorted. */
export async function listing(folder: string): Promise<string[]> {
  // With their kinds, since otherwise it goes through links.
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.map((entry) => relative(folder, join(entry.parentPath, entry.name))).sort();
}

interface Bench {
  readonly root: string;
  readonly archive: string;
  readonly into: string;
}

/** A folder with the archive, a canary beside the target folder, and nothing else. */
export async function bench(bytes: Buffer): Promise<Bench> {
  const root = await tempDir();
  const archive = join(root, 'archive');
  await writeFile(archive, bytes);
  await writeFile(join(root, 'canary'), 'untouched');
  await mkdir(join(root, 'work'));
  return { root, archive, into: join(root, 'work', 'staging') };
}

/** Checks that an archive is rejected, whether it is checked or unpacked, and that nothing of it is left. */
export async function rejected(
  format: UnpackedFormat,
  bytes: Buffer,
  expected: ErrorCode | { readonly code: ErrorCode; readonly says: string },
  limits: Partial<ArchiveLimits> = {},
): Promise<void> {
  const { code, says } = typeof expected === 'string' ? { code: expected, says: '' } : expected;
  const thrown = { code, message: expect.stringContaining(says) as string };
  const { root, archive, into } = await bench(bytes);
  await expect(unpackArchive({ path: archive, format, into, limits })).rejects.toMatchObject(thrown);
  expect(await listing(root)).toEqual(['archive', 'canary', 'work']);
  expect(await readFile(join(root, 'canary'), 'utf8')).toBe('untouched');
  await expect(checkArchive({ path: archive, format, limits })).rejects.toMatchObject(thrown);
}

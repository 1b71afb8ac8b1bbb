// Substitutes variables in the files of an unpacked release that the step names by pattern.
import { open, readdir } from 'node:fs/promises';
import { join, matchesGlob, relative } from 'node:path/posix';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { substitute } from '../../lib/templates/substitution.ts';
import type { PackageOrder } from './payload.ts';

/** A configuration file is small; a pattern that matches a larger one is a mistake. */
const LARGEST_SUBSTITUTED_BYTES = 10 * 1024 * 1024;

/** Substitutes the variables of an order in the files below `root` that match its patterns; binary files stay as they are. */
export async function substituteFiles(root: string, order: PackageOrder, log: Logger): Promise<void> {
  if (order.substituteIn.length === 0) return;
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = relative(root, path);
    if (!order.substituteIn.some((pattern) => matchesGlob(name, pattern))) continue;
    const undefinedNames = await substituteFile(path, name, order);
    if (undefinedNames.length > 0)
      log.warn({ file: name, undefinedNames }, 'variables without a value stay as they are');
  }
}

async function substituteFile(path: string, name: string, order: PackageOrder): Promise<readonly string[]> {
  const file = await open(path, 'r+');
  try {
    const { size, mode } = await file.stat();
    if (size > LARGEST_SUBSTITUTED_BYTES) {
      throw new IsthmusError('INVALID_FIELD', `${name} is too large to substitute variables in`, {
        field: 'substituteIn',
      });
    }
    const before = decodeText(await file.readFile());
    if (before === undefined) return [];
    const { text, unresolved } = substitute(before, order.variables);
    const undefinedNames = unresolved.map(({ name }) => name);
    if (text === before) return undefinedNames;
    // The file may now contain a secret: only its owner may read it.
    if (order.hasSensitive) await file.chmod(mode & 0o700);
    const bytes = Buffer.from(text);
    await file.truncate(0);
    await file.write(bytes, 0, bytes.length, 0);
    await file.sync();
    return undefinedNames;
  } finally {
    await file.close();
  }
}

/** The text, or undefined for binary content: a wide pattern may match pictures. */
function decodeText(bytes: Buffer): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

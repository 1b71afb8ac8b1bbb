// The children a relay was last told to dial, on disk: restarted while the server is away, it dials them again.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../lib/durable.ts';
import type { DialAssignment } from '../mesh/types.ts';

const fileName = 'assignment.json';

/** Remembers an assignment. */
export function writeAssignment(dataDir: string, dials: readonly DialAssignment[]): void {
  writeDurably(join(dataDir, fileName), `${JSON.stringify(dials)}\n`);
}

/** The last assignment; none when there was none, or when the file was spoilt: the server will tell it again. */
export function readAssignment(dataDir: string): DialAssignment[] {
  const path = join(dataDir, fileName);
  if (!existsSync(path)) return [];
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return Array.isArray(value) ? value.filter(isAssignment).map(({ node, address }) => ({ node, address })) : [];
  } catch {
    return [];
  }
}

function isAssignment(value: unknown): value is DialAssignment {
  if (typeof value !== 'object' || value === null || !('node' in value) || !('address' in value)) return false;
  return typeof value.node === 'string' && typeof value.address === 'string';
}

// The relay's last assignment (the children that it dials) on disk, so that a relay that restarts without the server
// dials them again.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../lib/files/durable.ts';
import type { DialAssignment } from '../mesh/types.ts';

const FILE_NAME = 'assignment.json';

/** Stores an assignment. */
export function writeAssignment(dataDir: string, dials: readonly DialAssignment[]): void {
  writeDurably(join(dataDir, FILE_NAME), `${JSON.stringify(dials)}\n`);
}

/** The last assignment; empty when there is none or the file is damaged, since the server will send it again. */
export function readAssignment(dataDir: string): DialAssignment[] {
  const path = join(dataDir, FILE_NAME);
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

// Removes versions that nobody needs any more: neither a link nor a process.
import { readdir, readlink } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { parseVersion } from '../../lib/package-versions.ts';
import type { HostLayout } from '../layout.ts';
import { linkedVersion } from './links.ts';
import { removeVersion } from './staging.ts';

/** The versions that have a folder on this host. */
export async function presentVersions({ versions }: HostLayout): Promise<string[]> {
  const entries = await readdir(versions, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory() && parseVersion(entry.name)).map(({ name }) => name);
}

/** Removes all versions but the current, the previous, the known good, and those that a process still runs from. */
export async function removeUnused(layout: HostLayout): Promise<void> {
  const links = await Promise.all([layout.current, layout.previous, layout.knownGood].map(linkedVersion));
  const programs = await runningPrograms();
  for (const version of await presentVersions(layout)) {
    const folder = join(layout.versions, version) + sep;
    if (links.includes(version) || programs.some((program) => program.startsWith(folder))) continue;
    await removeVersion(layout, version);
  }
}

/** The executables of all processes that this account may see. */
async function runningPrograms(): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const programs = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/exe`).catch(() => '')));
  return programs.filter((program) => program !== '');
}
